"""What LAA-Net's heads are to say of a boundary: its vulnerable points as a heat map, and self-consistency."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.synthesis.base import LEVELS, boundary_levels
from lightning_modules.boundary import INSIDE

OVERLAP = 0.7
ROOM = 32  # on a GPU, pixels for a point: a fake of 96 x 96 has 20 of them, at most 104 in 320; a real image has none


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


def encode(boundary: Tensor, compat: bool = False) -> Targets:
    """
    Args:
        boundary: (B, h, w) whole numbers from 0 to 255; h and w even. All zeros where an image is real.
        compat: Heat maps as the released code draws them, half of them a pixel up and left of their points.
    """
    top = quadrant_maximum(boundary)
    points = (find_vulnerable if boundary.is_cpu else list_vulnerable)(boundary, compat, top)
    heat = draw(boundary, points, compat)
    largest = boundary.flatten(1).amax(1)[:, None, None]
    consistency = (LEVELS - (largest - boundary).abs()) / LEVELS * (top > 0)
    flat = consistency.flatten(1)
    place = torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
    first = place.masked_fill(flat != flat.amax(1, keepdim=True), flat.shape[1]).amin(1)  # argmax promises no order
    return Targets(heat=heat[:, None], consistency=consistency, anchor=first)


@dataclass(kw_only=True)
class Points:
    """N vulnerable points: image, row and column of each, and the standard deviation of its Gaussian."""

    image: Tensor
    y: Tensor
    x: Tensor
    sigma: Tensor
    is_drawn: Tensor | None = None  # (N,) bool; all of them without it


def find_vulnerable(boundary: Tensor, compat: bool = False, top: Tensor | None = None) -> Points:
    """
    Args:
        top: Result of ``quadrant_maximum``, if it is known.
    """
    top = quadrant_maximum(boundary) if top is None else top
    image, y, x = ((boundary == top) & (top > 0)).nonzero(as_tuple=True)
    height, width = (runs(boundary, dim, compat)[image, y, x] for dim in (-2, -1))
    return Points(image=image, y=y, x=x, sigma=deviation(height, width))


def list_vulnerable(boundary: Tensor, compat: bool = False, top: Tensor | None = None) -> Points:
    """The same without asking a GPU how many there are: room for one of ROOM pixels, for more than that none."""
    b, h, w = boundary.shape
    top = quadrant_maximum(boundary) if top is None else top
    is_point = ((boundary == top) & (top > 0)).flatten()
    room = max(1, b * h * w // ROOM)
    order = is_point.cumsum(0)
    slot = (order - 1).masked_fill_(~is_point, room).clamp_(max=room)
    every = torch.arange(b * h * w, device=boundary.device)
    place = every[: room + 1].clone().scatter_(0, slot, every)[:room]  # where none is, all in different places
    height, width = (runs(boundary, dim, compat) for dim in (-2, -1))
    table = deviations(2 * h, 2 * w, boundary.device)
    sigma = table[(height * (2 * w + 1) + width).flatten()[place]]
    image, y, x = place // (h * w), place // w % h, place % w
    return Points(image=image, y=y, x=x, sigma=sigma, is_drawn=every[:room] < order[-1])


def quadrant_maximum(boundary: Tensor) -> Tensor:
    """(B, h, w), each pixel the largest of its quadrant."""
    b, h, w = boundary.shape
    largest = boundary.view(b, 2, h // 2, 2, w // 2).amax((2, 4))
    return largest.repeat_interleave(h // 2, 1).repeat_interleave(w // 2, 2)


def runs(boundary: Tensor, dim: int, compat: bool) -> Tensor:
    """(B, h, w) pixels of the boundary in one line through each, itself counted from both sides; 0 outside."""
    inside = boundary > INSIDE
    place = torch.arange(1, inside.shape[dim] + 1, device=inside.device)
    place = place[:, None] if dim == -2 else place
    both = torch.stack([inside, inside.flip(dim)])
    back = place - place.masked_fill(both, 0).cummax(dim).values
    before, after = back[0], back[1].flip(dim)
    if compat:  # a walk past the first pixel goes on from the last
        around = before.select(dim, -1).unsqueeze(dim)
        before = torch.where(before == place, before + around, before)
    return (before + after).masked_fill_(~inside, 0)


def radius(height: Tensor, width: Tensor) -> Tensor:
    """The least of CornerNet's three, whose missing division is kept."""
    s, a = (height + width).double(), (height * width).double()
    o = OVERLAP
    one = (s + (s**2 - 4 * a * (1 - o) / (1 + o)).sqrt()) / 2
    two = (2 * s + (4 * s**2 - 16 * (1 - o) * a).sqrt()) / 2
    three = (-2 * o * s + (4 * o**2 * s**2 + 16 * o * (1 - o) * a).sqrt()) / 2
    return torch.minimum(torch.minimum(one, two), three)


def deviation(height: Tensor, width: Tensor) -> Tensor:
    return radius(height, width) / 3 + 1e-4


@functools.lru_cache(maxsize=4)
def deviations(height: int, width: int, device: torch.device) -> Tensor:
    """All that can come, flat: to look them up takes fewer operations."""
    tall, wide = (torch.arange(side + 1) for side in (height, width))
    return deviation(tall[:, None], wide).flatten().to(device)


def draw(boundary: Tensor, points: Points, compat: bool) -> Tensor:
    """(B, h, w): a Gaussian for each point, cut off at three standard deviations, the larger where two meet."""
    b, h, w = boundary.shape
    heat = torch.zeros(b * h * w, device=boundary.device)
    y, x, reach = points.y, points.x, 3 * points.sigma
    if compat:
        y, x = (((i - reach).trunc() + (reach + 0.5).floor()).long() for i in (y, x))
    points, whole = replace(points, y=y, x=x), reach.long()
    if points.is_drawn is not None:
        longest = [2 * side if compat else side + 1 for side in (h, w)]  # that runs can be
        widest = int(3 * deviation(*map(torch.tensor, longest)))
        stamp(heat, points, whole, widest, (h, w))
        return heat.view(b, h, w)
    for side in whole.unique().tolist():  # one wide Gaussian would widen the window of all
        mine = (whole == side).nonzero().flatten()
        some = Points(image=points.image[mine], y=y[mine], x=x[mine], sigma=points.sigma[mine])
        stamp(heat, some, whole[mine], side, (h, w))
    return heat.view(b, h, w)


def stamp(heat: Tensor, points: Points, whole: Tensor, side: int, size: tuple[int, int]) -> None:
    """
    Args:
        heat: (B * h * w,) to draw on.
        whole: (N,) pixels that each Gaussian reaches.
        side: Pixels around each that are looked at.
    """
    h, w = size
    step = torch.arange(-side, side + 1, device=heat.device)
    yy, xx = points.y[:, None] + step, points.x[:, None] + step  # (N, window)
    near = step.abs() <= whole[:, None]
    if points.is_drawn is not None:
        near = near & points.is_drawn[:, None]
    row, column = yy.clamp(0, h - 1), xx.clamp(0, w - 1)
    tall, wide = near & (row == yy), near & (column == xx)
    fall = step**2 / (2 * points.sigma[:, None] ** 2)
    value = torch.exp(-(fall[:, :, None] + fall[:, None])).float() * (tall[:, :, None] & wide[:, None])
    place = ((points.image[:, None] * h + row) * w)[:, :, None] + column[:, None]
    heat.scatter_reduce_(0, place.flatten(), value.flatten(), "amax")
