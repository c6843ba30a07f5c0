"""Images of a batch mixed with one another, and labels that are as soft as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datamodules.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Mixup and CutMix of a whole batch with itself in reverse, one of the two in each step.

    Args:
        mixup: Both parameters of the Beta distribution of the share of an image, which the other one completes.
        cutmix: The same of the area that is not cut out for the other one.
        switch: Probability of CutMix instead of mixup.
        smoothing: Share of a label that is spread over both classes.
    """

    mixup: float = 0.8
    cutmix: float = 1.0
    switch: float = 0.5
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not (self.mixup > 0 and self.cutmix > 0 and 0 <= self.switch <= 1 and 0 <= self.smoothing < 1):
            rule = "mixup and cutmix must be above 0, switch from 0 to 1, smoothing from 0 to below 1"
            raise UserError(f"mixing: {self}: {rule}")

    def __call__(self, frames: Tensor, label: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        """
        Args:
            frames: (B, T, 3, H, W).
            label: (B,) 0 or 1.

        Returns:
            The frames, and (B,) how forged they are.
        """
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=draws)))
        target = label.float() * (1 - self.smoothing) + self.smoothing / 2
        other = frames.flip(0)
        if rng.random() < self.switch:
            share = rng.beta(self.cutmix, self.cutmix)
            h, w = frames.shape[-2:]
            rows, columns = (cut(side, share, rng) for side in (h, w))
            share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (h * w)
            mixed = frames.clone()
            mixed[..., rows, columns] = other[..., rows, columns]
        else:
            share = rng.beta(self.mixup, self.mixup)
            mixed = share * frames + (1 - share) * other
        return mixed, share * target + (1 - share) * target.flip(0)


def cut(side: int, share: float, rng: np.random.Generator) -> slice:
    """Of a box around a point of the image, what lies within it."""
    half, centre = int(side * np.sqrt(1 - share)) // 2, int(rng.integers(side))
    return slice(max(0, centre - half), min(side, centre + half))
