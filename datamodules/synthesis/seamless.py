"""What an editor does before one face is laid on another: landmarks brought onto landmarks, the colours along the
border brought onto those around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.synthesis.feather import dilate
from datamodules.synthesis.resize import pixel_places, sample_places

AWAY = 0.05  # weight of a landmark outside the mask, over that of one inside
BAND = 5  # odd side of the square by which the border grows whose colours are taken
SLOWEST = 0.98  # of what differs from a solution, the largest share that a sweep may leave
SWEEPS = 12  # at each size: then a fill is within a few levels of what it tends to, on average within one


def align(source: Tensor, own: Tensor, shown: Tensor, mask: Tensor) -> Tensor:
    """(B, 3, H, W) the source stretched, turned and moved so that its landmarks lie, best of all within the mask, on
    those of the face that is shown.

    Args:
        source: (B, 3, H, W).
        own: (B, 68, 2) landmarks of the source, in pixels.
        shown: (B, 68, 2) those of the face that is shown.
        mask: (B, 1, H, W) bool.
    """
    h, w = source.shape[-2:]
    last = shown.new_tensor([w - 1, h - 1])
    places = (2 * shown / last - 1)[:, None]
    inside = F.grid_sample(mask.float(), places, mode="nearest", align_corners=True)[:, 0, 0]  # (B, 68)
    weight = (AWAY + inside)[..., None].double()
    weight = weight / weight.sum(1, keepdim=True)
    from_centre = (weight * shown).sum(1, keepdim=True)
    to_centre = (weight * own).sum(1, keepdim=True)
    x, y = shown - from_centre, own - to_centre
    linear = (weight * y).mT @ x @ torch.linalg.inv((weight * x).mT @ x)  # (B, 2, 2)
    away = pixel_places(h, w, source.device, torch.float64) - from_centre[:, None]
    target = (away[..., None, :] * linear[:, None, None]).sum(-1) + to_centre[:, None]
    return sample_places(source, target)


def match_border(source: Tensor, shown: Tensor, inside: Tensor) -> Tensor:
    """(B, 3, H, W) the source with the colours that the face shown has around the mask; its gradients stay.

    Args:
        source: (B, 3, H, W).
        shown: (B, 3, H, W).
        inside: (B, 1, H, W) bool.
    """
    around = dilate(inside, [BAND] * len(inside)) & ~inside
    return (source + fill(shown - source, around)).clamp_(0, 1)


def fill(values: Tensor, known: Tensor) -> Tensor:
    """(B, C, H, W) values where they are known; elsewhere each is, nearly, the mean of its four neighbours.

    Args:
        values: (B, C, H, W).
        known: (B, 1, H, W) bool.
    """
    given = torch.where(known, values, 0)
    size = values.shape[-2:]
    if max(size) == 1:
        return given
    share = F.avg_pool2d(known.float(), 2, ceil_mode=True)
    coarse = fill(F.avg_pool2d(given, 2, ceil_mode=True) / share.clamp(min=1e-6), share > 0)
    out = torch.where(known, given, F.interpolate(coarse, size, mode="bilinear"))
    before, pace = out, 1.0
    for i in range(SWEEPS):
        wide = F.pad(out, [1] * 4, mode="replicate")
        mean = (wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1] + wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:]) / 4
        out, before = torch.where(known, given, torch.lerp(before, mean, pace)), out
        pace = 1 / (1 - SLOWEST**2 * pace / (4 if i else 2))  # Chebyshev's: fewer sweeps than the mean alone takes
    return out
