"""The grid of blocks that are hidden a few at a time: squares of patches that tile an image but for its border."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Side lengths; by default the published ones, of 224 pixels."""

    patches: int = 14  # of the image
    block: int = 3  # of one block, in patches
    border: int = 1  # never hidden, in patches

    def __post_init__(self) -> None:
        if self.block < 1 or (inner := self.patches - 2 * self.border) < self.block or inner % self.block:
            raise UserError(
                f"blocks of {self.block} patches: do not tile {self.patches} less a border of {self.border}"
            )

    @property
    def side(self) -> int:
        """Blocks in a row."""
        return (self.patches - 2 * self.border) // self.block

    def block_ids(self, row: int, column: int) -> Tensor:
        """(block * block,) ids of the patches of the block whose first one is there."""
        line = torch.arange(self.block)
        return ((row + line)[:, None] * self.patches + column + line).flatten()

    def ids(self) -> Tensor:
        """(side * side, block * block) patches of each block, row by row."""
        first = [self.border + self.block * i for i in range(self.side)]
        return torch.stack([self.block_ids(row, column) for row in first for column in first])

    def strides(self, passes: int) -> tuple[int, int]:
        """Every how many rows and columns a block is hidden, so that all have been after so many passes."""
        fits = [s for s in range(2, self.side + 1) if self.side % s == 0] or [1]
        pairs = [(r, c) for r in fits for c in fits if r <= c]
        found = {r * c: (r, c) for r, c in pairs}  # never 1: blocks that touch would be one
        if passes not in found:
            raise UserError(f"passes {passes}: {self.side} x {self.side} blocks can be hidden in {sorted(found)}")
        return found[passes]

    def group_blocks(self, passes: int) -> Tensor:
        """(passes, blocks of a pass) blocks, by their number, that are hidden at the same time."""
        rows, columns = self.strides(passes)
        number = torch.arange(self.side**2).view(self.side, self.side)
        return torch.stack([number[r::rows, c::columns].flatten() for r in range(rows) for c in range(columns)])
