"""The grid of blocks that are hidden one at a time: squares of patches that tile an image but for its border."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import Refused


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Side lengths; by default the published ones, of 224 pixels."""

    patches: int = 14  # of the image
    block: int = 3  # of one block, in patches
    border: int = 1  # never hidden, in patches

    def __post_init__(self) -> None:
        if self.block < 1 or (inner := self.patches - 2 * self.border) < self.block or inner % self.block:
            raise Refused(f"blocks of {self.block} patches: do not tile {self.patches} less a border of {self.border}")

    @property
    def side(self) -> int:
        """Blocks in a row."""
        return (self.patches - 2 * self.border) // self.block

    def at(self, row: int, column: int) -> Tensor:
        """(block * block,) ids of the patches of the block whose first one is there."""
        line = torch.arange(self.block)
        return ((row + line)[:, None] * self.patches + column + line).flatten()

    def ids(self) -> Tensor:
        """(side * side, block * block) patches of each block, row by row."""
        first = [self.border + self.block * i for i in range(self.side)]
        return torch.stack([self.at(row, column) for row in first for column in first])
