"""What LAA-Net's heads are to say of a boundary: its vulnerable points as a heat map, and self-consistency."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.synthesis.base import LEVELS, boundary_levels
from datamodules.synthesis.masks import separable, taps

INSIDE = 128  # level above which a pixel belongs to the boundary when its width is measured
SOFT = 5 / 256  # of the side: standard deviation of the middle of the blurs that SelfBlend softens masks with
OVERLAP = 0.7


@dataclass(kw_only=True)
class Targets:
    """For B images."""

    heat: Tensor  # (B, 1, h, w) in [0, 1], exactly 1 at each point
    consistency: Tensor  # (B, h, w) in [0, 1]
    anchor: Tensor  # (B,) int64, place in h * w that consistency refers to


def boundary_of(mask: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W) soft masks that came without a boundary to (B, height, width) whole levels of it."""
    levels = boundary_levels(mask)[:, None]
    return F.interpolate(levels, (height, width), mode="bilinear", align_corners=True)[:, 0].round_()


def on_boundary(mask: Tensor, boundary: Tensor | None) -> Tensor:
    """(N, H, W) masks to bool, true along the boundary that the map of a trained network should show.

    Args:
        boundary: Levels of a synthesis, N of them; without it masks are softened: those of data sets are hard.
    """
    size = mask.shape[-2:]
    if boundary is not None:
        levels = boundary.flatten(0, -3).float()[:, None]
        return F.interpolate(levels, size, mode="bilinear", align_corners=True)[:, 0] > INSIDE
    sigma = SOFT * max(size)
    half = int(3 * sigma) + 1
    weight = taps(2 * half + 1, torch.full((len(mask),), sigma, device=mask.device), 2 * half + 1)
    # a region goes on beyond the picture: where it is cut off, there is no boundary
    wide = F.pad((mask > 0.5).float()[:, None], [half] * 4, mode="replicate")[:, 0]
    soft = separable(wide, weight)[:, half : half + size[0], half : half + size[1]]
    return boundary_levels(soft.clamp(0, 1)) > INSIDE


def encode(boundary: Tensor, compat: bool = False) -> Targets:
    """
    Args:
        boundary: (B, h, w) whole numbers from 0 to 255; h and w even. All zeros where an image is real.
        compat: Heat maps as the released code draws them, half of them a pixel up and left of their points.
    """
    top = quadrant_maximum(boundary)
    heat = draw(boundary, *vulnerable(boundary, compat), compat)
    largest = boundary.flatten(1).amax(1)[:, None, None]
    consistency = torch.where(top > 0, (LEVELS - (largest - boundary).abs()) / LEVELS, 0.0)
    flat = consistency.flatten(1)
    place = torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
    first = torch.where(flat == flat.amax(1, keepdim=True), place, flat.shape[1]).amin(1)  # argmax promises no order
    return Targets(heat=heat[:, None], consistency=consistency, anchor=first)


def vulnerable(boundary: Tensor, compat: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The points: image, row and column of each, and the standard deviation of its Gaussian, (N,) each."""
    top = quadrant_maximum(boundary)
    image, y, x = ((boundary == top) & (top > 0)).nonzero(as_tuple=True)
    height, width = (runs(boundary, dim, compat)[image, y, x] for dim in (-2, -1))
    return image, y, x, radius(height, width) / 3 + 1e-4


def quadrant_maximum(boundary: Tensor) -> Tensor:
    """(B, h, w), each pixel the largest of its quadrant."""
    b, h, w = boundary.shape
    largest = boundary.view(b, 2, h // 2, 2, w // 2).amax((2, 4))
    return largest.repeat_interleave(h // 2, 1).repeat_interleave(w // 2, 2)


def runs(boundary: Tensor, dim: int, compat: bool) -> Tensor:
    """(B, h, w) pixels of the boundary in one line through each, itself counted from both sides; 0 outside."""
    inside = boundary > INSIDE
    place = torch.arange(1, inside.shape[dim] + 1, device=inside.device)
    place = (place[:, None] if dim == -2 else place).expand_as(inside)

    def back(inside: Tensor) -> Tensor:
        return place - torch.where(inside, 0, place).cummax(dim).values

    before, after = back(inside), back(inside.flip(dim)).flip(dim)
    if compat:  # a walk past the first pixel goes on from the last
        around = before.select(dim, -1).unsqueeze(dim)
        before = torch.where(before == place, before + around, before)
    return torch.where(inside, before + after, 0)


def radius(height: Tensor, width: Tensor) -> Tensor:
    """The least of CornerNet's three, whose missing division is kept."""
    s, a = (height + width).double(), (height * width).double()
    o = OVERLAP
    one = (s + (s**2 - 4 * a * (1 - o) / (1 + o)).sqrt()) / 2
    two = (2 * s + (4 * s**2 - 16 * (1 - o) * a).sqrt()) / 2
    three = (-2 * o * s + (4 * o**2 * s**2 + 16 * o * (1 - o) * a).sqrt()) / 2
    return torch.minimum(torch.minimum(one, two), three)


def draw(boundary: Tensor, image: Tensor, y: Tensor, x: Tensor, sigma: Tensor, compat: bool) -> Tensor:
    """(B, h, w): a Gaussian for each point, cut off at three standard deviations, the larger where two meet."""
    b, h, w = boundary.shape
    heat = torch.zeros(b * h * w, device=boundary.device)
    if not len(y):
        return heat.view(b, h, w)
    reach = 3 * sigma
    if compat:
        y, x = (((i - reach).trunc() + (reach + 0.5).floor()).long() for i in (y, x))
    whole = reach.long()
    for side in whole.unique().tolist():  # one wide Gaussian would widen the window of all
        mine = (whole == side).nonzero().flatten()
        step = torch.arange(-side, side + 1, device=boundary.device)
        dy, dx = (d.flatten() for d in torch.meshgrid(step, step, indexing="ij"))
        value = torch.exp(-(dy**2 + dx**2) / (2 * sigma[mine, None] ** 2)).float()  # (N, window)
        yy, xx = y[mine, None] + dy, x[mine, None] + dx
        kept = (yy >= 0) & (yy < h) & (xx >= 0) & (xx < w)
        place = (image[mine, None] * h + yy) * w + xx
        heat.scatter_reduce_(0, place[kept], value[kept], "amax")
    return heat.view(b, h, w)
