"""How sharp the changed copy of a self-blended face is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.batch import Batch
from datamodules.synthesis.base import seed_draws
from datamodules.synthesis.self_blend import SelfBlend

COUNT, SIDE = 200, 64


def faces() -> Batch:
    """Noise, whose landmarks lie on an ellipse."""
    angle = torch.linspace(0, 6.2, 68)
    points = SIDE / 2 + SIDE / 4 * torch.stack([angle.cos(), 1.2 * angle.sin()], 1)
    return Batch(
        frames=(torch.rand(COUNT, 1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 255).round() / 255,
        label=torch.zeros(COUNT, dtype=torch.long),
        mask=torch.zeros(COUNT, 1, 1, SIDE, SIDE),
        has_mask=torch.ones(COUNT, dtype=torch.bool),
        landmarks=points.expand(COUNT, 1, 68, 2).clone(),
        has_landmarks=torch.ones(COUNT, dtype=torch.bool),
        video=[f"d/real/c23/{i}" for i in range(COUNT)],
        track=torch.zeros(COUNT, dtype=torch.long),
        numbers=torch.zeros(COUNT, 1, dtype=torch.long),
        is_counted=torch.ones(COUNT, dtype=torch.bool),
    )


def coarse(images: Tensor, times: int) -> Tensor:
    return F.interpolate(images[..., ::times, ::times], scale_factor=times, mode="bilinear")


def test_a_copy_is_sharpened_as_often_as_not_or_else_coarse_by_two_or_by_four_alike() -> None:
    batch = faces()
    before = batch.frames[:, 0].clone()
    synthesis = SelfBlend(
        colour_shift=0.0, light=0.0, after_shift=0.0, after_light=0.0, after_jpeg=0.0, flip=0.0, distort=0.0
    ).train()
    with seed_draws(0):
        real = synthesis(batch).frames[:COUNT, 0]

    def alike(times: int) -> Tensor:
        """How often it is the face, mirrored or not, with every so many pixels kept."""
        kept = [coarse(image, times) for image in (before, before.flip(-1))]
        distance = [(real - image).abs().flatten(1).amax(1) for image in kept]
        return (torch.minimum(*distance) < 1.5 / 255).float().mean()

    # in every second pair the changed copy is what the original is pasted into, and is given as the real face
    untouched, twice, four_times = alike(1), alike(2), alike(4)
    assert 0.4 < untouched < 0.6
    assert 0.06 < twice < 0.19  # an eighth
    assert 0.06 < four_times < 0.19
