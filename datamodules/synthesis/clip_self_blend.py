"""Self-blended clips: all frames of a clip are changed alike, so that a forgery flickers only where landmarks move."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from datamodules.synthesis.base import pair_up, seed_draws
from datamodules.synthesis.self_blend import BlendDraws, SelfBlend

STILL = 0.35  # a landmark's mean movement from frame to frame, in pixels of a crop of 256, that is left as it is
STEP = 0.2  # a larger one is divided by how many times it is this


class ClipSelfBlend(SelfBlend):
    """Blends each frame of a clip with a changed copy of itself, with one set of draws for them all."""

    @torch.no_grad()
    def forward(self, batch: Batch, seeds: Sequence[int] | None = None) -> Batch:
        """B real clips to 2 B, reals first, both in their order.

        Args:
            batch: Batch of clips.
            seeds: One for each clip, which then depends on nothing else.
        """
        if batch.label.is_cpu:
            self.check(batch)
        b, t, _, h, w = batch.frames.shape
        (tall, wide), small = self.sizes(h, w)
        frames = batch.frames.new_empty(2, b, t, 3, tall, wide)
        mask = batch.frames.new_zeros(2, b, t, 1, tall, wide)
        boundary = torch.zeros(2, b, t, 1, *small, dtype=torch.uint8, device=mask.device)
        landmarks = steady(batch.landmarks, 256 / h)
        for i in range(b):
            with nullcontext() if seeds is None else seed_draws(seeds[i]):
                drawn = repeat(self.draws(1, h, w), t)
            blend = self.blend_drawn(batch.frames[i, :, None].clone(), landmarks[i, :, None].clone(), drawn)
            frames[:, i] = blend.pairs.transpose(0, 1).to(frames.dtype) / 255
            mask[1, i], boundary[1, i] = blend.mask, blend.boundary
        return pair_up(batch, frames, mask, boundary)

    def show(self, batch: Batch) -> Batch:
        raise UserError("true_fakes: not with clips that are blended from real ones; give 0")


def repeat(drawn: BlendDraws, count: int) -> BlendDraws:
    """The draws of one clip, for each of its frames."""
    values: dict[str, Any] = {one.name: getattr(drawn, one.name) for one in fields(drawn)}
    cuts = values.pop("cuts") * count
    return BlendDraws(cuts=cuts, **{name: value.repeat_interleave(count, 0) for name, value in values.items()})


def steady(landmarks: Tensor, scale: float) -> Tensor:
    """Landmarks that jump from one frame to the next pulled back towards where they were.

    Args:
        landmarks: (B, T, N, 2) pixels.
        scale: From these to pixels of a crop of 256.
    """
    out = landmarks.clone()
    for i in range(1, landmarks.shape[1]):
        change = out[:, i] - out[:, i - 1]
        moved = scale * torch.linalg.vector_norm(change, dim=(1, 2)) / landmarks.shape[2]
        times = torch.where(moved > STILL, (moved / STEP).round(), 1.0)
        out[:, i] = out[:, i - 1] + change / times[:, None, None]
    return out
