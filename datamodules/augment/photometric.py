"""Changes of colour, light and sharpness; every one is given its numbers, one for each image."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def draw_flags(probability: float, b: int) -> Tensor:
    return torch.rand(b) < probability


def draw_between(low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape)


def add_shift(images: Tensor, change: Tensor) -> Tensor:
    """Adds (B, 3) to the channels."""
    return (images + change.to(images.device)[..., None, None]).clamp_(0, 1)


def change_light(images: Tensor, contrast: Tensor, brightness: Tensor) -> Tensor:
    """Values times 1 + contrast, plus brightness; both (B,)."""
    gain, lift = (change.to(images.device)[:, None, None, None] for change in (1 + contrast, brightness))
    return (images * gain).add_(lift).clamp_(0, 1)


def sharpen(images: Tensor, amount: Tensor, lightness: Tensor) -> Tensor:
    """Mixes in, by ``amount`` (B,), eight times the centre plus ``lightness``, less the neighbours."""
    amount, lightness = (value.to(images.device)[:, None, None, None] for value in (amount, lightness))
    wide = F.pad(images, (1, 1, 1, 1), mode="reflect")
    rows = wide[..., :-2, :] + wide[..., 1:-1, :] + wide[..., 2:, :]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    return (images * (1 - amount + amount * (9 + lightness))).sub_(amount * around).clamp_(0, 1)


def coarsen(images: Tensor, times: int) -> Tensor:
    """Every n-th pixel, enlarged again."""
    small = F.interpolate(images, scale_factor=1 / times, mode="nearest")
    return F.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)


def shrink_and_enlarge(images: Tensor, side: float, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """
    Args:
        change: What is done to them while they are small.
    """
    size = images.shape[-2:]
    smaller = [max(8, round(side * s / min(size))) for s in size]
    small = F.interpolate(images, smaller, mode="bilinear", antialias=True)
    return F.interpolate(small if change is None else change(small), size, mode="bilinear")
