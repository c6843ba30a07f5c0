"""Which patches are hidden: drawn anew in training, the same few passes for every image in testing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import Generator, Tensor

from datamodules.runtime.errors import UserError
from lightning_modules.mae import face_parts
from lightning_modules.mae.block_grid import Grid

FIXED = 912  # of the order in which patches are hidden where testing needs an arbitrary one


@cache
def draw_fixed(draw: Callable[..., Tensor], *shape: int) -> Tensor:
    """The same in every test; drawn but once, or an exported network would draw again at each call."""
    with torch.inference_mode(False):
        return draw(*shape, generator=torch.Generator().manual_seed(FIXED))


class Masking(ABC):
    """Ids of patches to hide, each (B, K): a pass hides the same number in every image."""

    needs_landmarks = False

    @abstractmethod
    def draw(self, side: int, landmarks: Tensor, generator: Generator | None = None) -> Tensor:
        """One pass of training.

        Args:
            side: Patches in a row of the image.
            landmarks: (B, 68, 2) in patches.
            generator: Random generator on the CPU; torch's default if unset.
        """

    @abstractmethod
    def passes(self, side: int, landmarks: Tensor) -> list[Tensor]:
        """The passes of testing; what several hide is averaged."""


class Blocks(Masking):
    """RFFR: one block at any place, or several far from each other, as many as testing hides in a pass."""

    def __init__(self, grid: Grid | None = None, passes: int | None = None) -> None:
        """
        Args:
            grid: The blocks of testing.
            passes: In which testing hides all of them; each block alone without it.
        """
        self.grid = grid or Grid()
        self.count = self.grid.side**2 if passes is None else passes
        self.strides = self.grid.strides(self.count)

    def draw(self, side: int, landmarks: Tensor, generator: Generator | None = None) -> Tensor:
        check(self.grid, side)
        b, block, border = landmarks.shape[0], self.grid.block, self.grid.border
        out = []
        # all blocks of a pass move together, over all places between those of testing
        for stride in self.strides:
            shift = torch.randint(0, (stride - 1) * block + 1, (b, 1, 1), generator=generator)
            first = torch.arange(0, self.grid.side, stride)[:, None] * block
            out.append((border + shift + first + torch.arange(block)).flatten(1))  # (B, lines)
        rows, columns = out
        ids = rows[:, :, None] * side + columns[:, None]
        # block by block, and row by row within each
        ids = ids.unflatten(2, (-1, block)).unflatten(1, (-1, block)).transpose(2, 3)
        return ids.flatten(1).to(landmarks.device)

    def passes(self, side: int, landmarks: Tensor) -> list[Tensor]:
        check(self.grid, side)
        ids = self.grid.ids()[self.grid.group_blocks(self.count)].flatten(1).to(landmarks.device)
        return [one.expand(landmarks.shape[0], -1) for one in ids]


def check(grid: Grid, side: int) -> None:
    if grid.patches != side:
        raise UserError(f"grid of {grid.patches} patches a side: the generator has {side}")


class Scattered(Masking):
    """A share of all patches, anywhere."""

    def __init__(self, share: float = 0.75) -> None:
        if not 0 < share < 1:
            raise UserError(f"share {share}: must lie between 0 and 1")
        self.share = share

    def draw(self, side: int, landmarks: Tensor, generator: Generator | None = None) -> Tensor:
        order = torch.rand(landmarks.shape[0], side * side, generator=generator).argsort(1)
        return order[:, : self.count_hidden(side)].to(landmarks.device)

    def count_hidden(self, side: int) -> int:
        return min(max(round(self.share * side * side), 1), side * side - 1)

    def passes(self, side: int, landmarks: Tensor) -> list[Tensor]:
        n, hidden = side * side, self.count_hidden(side)
        count = -(-n // min(hidden, n - hidden))  # each patch is hidden at least once, and seen if it can be
        order = draw_fixed(torch.randperm, n)
        starts = [i * n // count for i in range(count)]
        return [order.roll(-s)[:hidden].to(landmarks.device).expand(landmarks.shape[0], -1) for s in starts]


class Parts(Masking):
    """Delocate: one part of the face, now and then two; or, for comparison, as many patches elsewhere."""

    def __init__(
        self,
        eyes: float = 28 / 196,
        nose: float = 40 / 196,
        lips: float = 16 / 196,
        two_parts_probability: float = 0.15,
        region: Literal["parts", "face", "all"] = "parts",
    ) -> None:
        """
        Args:
            eyes: Share of all patches that is hidden of the eyes and brows; 28 of 196. The published ratio is only
                said to be low; a part that has more gives some of them, one that has fewer takes its neighbours.
            nose: Share of cheeks and nose, which have more patches than that: testing hides them from the left and the
                right, so that no pass hides more than training did.
            lips: Share of the lips, widened by a patch: unwidened, they are too easily recovered.
            two_parts_probability: Probability of hiding two parts at once.
            region: Region in which as many patches are hidden: in the part, anywhere on the face, or anywhere.
        """
        self.needs_landmarks = region != "all"
        self.shares, self.region = {"eyes": eyes, "nose": nose, "lips": lips}, region
        self.two_parts_probability = two_parts_probability

    def budget(self, name: str, side: int) -> int:
        return max(1, round(self.shares[name] * side * side))

    def rank(self, side: int, landmarks: Tensor, name: str, order: Tensor) -> Tensor:
        """(B, N) patches, first those to hide: those of the part in their order, then the nearest others.

        Args:
            order: (B, N) in [0, 1], infinite for patches that are hidden already.
        """
        if self.region == "all":
            return order.argsort(dim=1, stable=True)
        inside = face_parts.face(landmarks, side) if self.region == "face" else face_parts.parts(landmarks, side)[name]
        place = torch.where(inside, order, 2 + face_parts.distance(inside, side))
        return place.masked_fill(order.isinf(), torch.inf).argsort(dim=1, stable=True)

    def draw(self, side: int, landmarks: Tensor, generator: Generator | None = None) -> Tensor:
        names = list(self.shares)
        first, second = torch.randperm(len(names), generator=generator)[:2].tolist()
        chosen = [names[first]]
        if float(torch.rand((), generator=generator)) < self.two_parts_probability:
            chosen.append(names[second])
        order = torch.rand(landmarks.shape[0], side * side, generator=generator).to(landmarks.device)
        out: list[Tensor] = []
        for name in chosen:
            if out:  # no patch twice
                order = order.scatter(1, out[0], torch.inf)
            out.append(self.rank(side, landmarks, name, order)[:, : self.budget(name, side)])
        return torch.cat(out, 1)

    def passes(self, side: int, landmarks: Tensor) -> list[Tensor]:
        b, n, device = landmarks.shape[0], side * side, landmarks.device
        arbitrary = draw_fixed(torch.rand, 4, n).to(device)
        column = (torch.arange(n, device=device) % side).float() / side
        orders = {"eyes": [arbitrary[0]], "nose": [column, 1 - column], "lips": [arbitrary[1]]}
        if self.region != "parts":
            orders["nose"] = [arbitrary[2], arbitrary[3]]
        return [
            self.rank(side, landmarks, name, order.expand(b, -1))[:, : self.budget(name, side)]
            for name, several in orders.items()
            for order in several
        ]
