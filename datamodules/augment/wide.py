"""Augmentation with more kinds of change: gamma, motion blur, glass, local contrast, channels, holes."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.augment.augment import SIDE, Augment, gaussian
from datamodules.augment.photometric import draw_between, draw_flags
from datamodules.batch import Batch


class WideAugment(Augment):
    """What else Effort is trained with, after what Augment does: once per clip, stated for an image of 256 pixels."""

    def __init__(
        self,
        gamma: float = 0.3,
        gammas: tuple[float, float] = (0.8, 1.2),
        motion: float = 0.1,
        longest: int = 7,
        local_contrast: float = 0.1,
        clip_limit: float = 4.0,
        shuffle: float = 0.1,
        cutout: float = 0.1,
        holes: int = 8,
        hole: int = 8,
        glass: float = 0.3,
        glass_sigma: float = 0.7,
        glass_reach: int = 4,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            gamma: Probability that values are raised to a power.
            gammas: The power.
            motion: Probability of a blur along a line.
            longest: Length of the line at most, in pixels.
            local_contrast: Probability of a histogram equalization by tiles (CLAHE).
            clip_limit: Its limit at most, at least 1.
            shuffle: Probability of another order of the channels.
            cutout: Probability of black squares.
            holes: Number of squares.
            hole: Side of a square, in pixels.
            glass: Probability that pixels change places with near ones, as behind glass.
            glass_sigma: Standard deviation of the blur before and after, in pixels.
            glass_reach: How far a pixel may come from, in pixels.
            **kwargs: See Augment.
        """
        super().__init__(**kwargs)
        self.gamma, self.gammas, self.motion, self.longest = gamma, gammas, motion, longest
        self.local_contrast, self.clip_limit, self.shuffle = local_contrast, clip_limit, shuffle
        self.cutout, self.holes, self.hole = cutout, holes, hole
        self.glass, self.glass_sigma, self.glass_reach = glass, glass_sigma, glass_reach

    def forward(self, batch: Batch) -> Batch:
        batch = super().forward(batch)
        for i, frames in enumerate(batch.frames):  # numbers are drawn on the CPU whatever the device
            batch.frames[i] = self.change(frames)
        return batch

    def change(self, frames: Tensor) -> Tensor:
        """(T, 3, H, W) of one clip."""
        ratio = min(frames.shape[-2:]) / SIDE
        if draw_flags(self.motion, 1).item():
            length = int(torch.randint(3, self.longest + 1, ()))
            frames = blur_along(frames, length * ratio, float(draw_between(0, math.pi, 1)))
        if draw_flags(self.local_contrast, 1).item():
            from kornia.enhance import equalize_clahe  # half a second that only trainings have use for

            frames = equalize_clahe(frames, float(draw_between(1, self.clip_limit, 1)))
        if draw_flags(self.shuffle, 1).item():
            frames = frames[:, torch.randperm(3).to(frames.device)]
        if draw_flags(self.cutout, 1).item():
            frames = cut_holes(frames, self.holes, max(1, round(self.hole * ratio)))
        if draw_flags(self.gamma, 1).item():
            frames = frames.clamp(0, 1) ** float(draw_between(*self.gammas, 1))
        if draw_flags(self.glass, 1).item():
            frames = see_through_glass(frames, self.glass_sigma * ratio, max(1, round(self.glass_reach * ratio)))
        return frames


def blur_along(frames: Tensor, length: float, angle: float) -> Tensor:
    """The mean over a line through each pixel.

    Args:
        length: In pixels.
        angle: Of the line, in radians.
    """
    steps = torch.linspace(-0.5, 0.5, max(2, math.ceil(2 * length))) * length
    h, w = frames.shape[-2:]
    ys, xs = torch.meshgrid(
        torch.linspace(-1, 1, h, device=frames.device), torch.linspace(-1, 1, w, device=frames.device), indexing="ij"
    )
    out = torch.zeros_like(frames)
    for step in steps.tolist():
        x, y = step * math.cos(angle) * 2 / max(1, w - 1), step * math.sin(angle) * 2 / max(1, h - 1)
        grid = torch.stack([xs + x, ys + y], -1).expand(len(frames), h, w, 2)
        out += F.grid_sample(frames, grid, padding_mode="border", align_corners=True)
    return out / len(steps)


def cut_holes(frames: Tensor, count: int, side: int) -> Tensor:
    """Black squares, whole and anywhere in the image."""
    frames = frames.clone()
    h, w = frames.shape[-2:]
    for _ in range(count):
        y, x = (int(torch.randint(max(1, length - side + 1), ())) for length in (h, w))
        frames[..., y : y + side, x : x + side] = 0
    return frames


def see_through_glass(frames: Tensor, sigma: float, reach: int) -> Tensor:
    """Each pixel from one within reach, between two blurs."""
    from kornia.filters import filter2d_separable  # half a second that only trainings have use for

    taps = gaussian(torch.tensor([sigma]), 2 * math.ceil(3 * sigma) + 1).to(frames.device)
    smooth = filter2d_separable(frames, taps, taps, border_type="replicate")
    h, w = frames.shape[-2:]
    dy, dx = torch.randint(-reach, reach + 1, (2, h, w)).to(frames.device)
    rows = (torch.arange(h, device=frames.device)[:, None] + dy).clamp(0, h - 1)
    columns = (torch.arange(w, device=frames.device) + dx).clamp(0, w - 1)
    return filter2d_separable(smooth[..., rows, columns], taps, taps, border_type="replicate").clamp(0, 1)
