"""The mask of a Face X-ray: a hull bent, grown or worn away, and weights that rise from the edge of its own hull."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.synthesis.hull import polygon

GRID = 4  # points of the bending grid along each side


def bend(mask: Tensor, jitter: Tensor) -> Tensor:
    """Each triangle between neighbouring points of a grid mapped to where these were moved.

    Args:
        mask: (B, 1, H, W).
        jitter: (B, 2, GRID, GRID) shift of the points, over width and height; they stay in the image.
    """
    h, w = mask.shape[-2:]
    line = torch.linspace(0, 1, GRID, device=mask.device)
    nodes = torch.stack(torch.meshgrid(line, line, indexing="xy"))  # (2, GRID, GRID), x first
    moved = (nodes + jitter).clamp(0, 1)
    twist = moved[..., :-1, :-1] - moved[..., :-1, 1:] - moved[..., 1:, :-1] + moved[..., 1:, 1:]
    (row, y), (column, x) = (cell_of(side, mask.device) for side in (h, w))
    y, x = y[:, None], x[None]
    # bilinear, less what makes it so: what is left is linear on both sides of the diagonal
    smooth = F.interpolate(moved, (h, w), mode="bilinear", align_corners=True)
    where = smooth - twist[:, :, row][..., column] * torch.minimum(x * y, (1 - x) * (1 - y))
    return F.grid_sample(mask, where.permute(0, 2, 3, 1) * 2 - 1, padding_mode="zeros", align_corners=True)


def cell_of(length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which cell of the grid each pixel of a side is in, and where in it."""
    place = torch.linspace(0, GRID - 1, length, device=device)
    cell = place.long().clamp(max=GRID - 2)
    return cell, place - cell


def dilate(mask: Tensor, size: Sequence[int]) -> Tensor:
    """(B, 1, H, W) bool, true where a square of an odd size about a pixel, one for each, meets the mask."""
    out = torch.empty_like(mask)
    for i, side in enumerate(size):
        one = F.pad(mask[i, 0], [side // 2] * 4)
        for dim in (0, 1):
            covered = 1  # pixels along this side that each value stands for
            while covered < side:
                step = min(covered, side - covered)
                rest = one.shape[dim] - step
                one = one.narrow(dim, 0, rest) | one.narrow(dim, step, rest)
                covered += step
        out[i, 0] = one
    return out


def erode(mask: Tensor, size: Sequence[int]) -> Tensor:
    return ~dilate(~mask, size)


def feather(mask: Tensor, width: float) -> Tensor:
    """(B, 1, H, W) weights: the distance to the edge of the mask's convex hull, 1 from a part of its extent on.

    Args:
        mask: (B, 1, H, W) bool, some of it true.
        width: Width of the border over that side.
    """
    h, w = mask.shape[-2:]
    y, x = (torch.arange(side, device=mask.device, dtype=torch.float32) for side in (h, w))
    out = []
    for inside in mask[:, 0]:
        start = polygon(ends(inside)[None])[0]  # (K, 2)
        along = start.roll(-1, 0) - start
        start, along = (each[along.any(1)] for each in (start, along))
        extent = (start.amax(0) - start.amin(0)).max()
        dx, dy = (along / along.norm(dim=1, keepdim=True)).T[..., None, None]
        left, top = start.T[..., None, None]
        # within a convex outline the nearest edge is the nearest line through an edge
        distance = (dx * (y[:, None] - top) - dy * (x - left)).amin(0)
        out.append(distance / (width * extent))
    return torch.stack(out)[:, None].clamp_(0, 1)


def ends(inside: Tensor) -> Tensor:
    """(H, W) bool to (N, 2), the first and last pixel of each row that has any; x first."""
    rows = inside.any(1).nonzero().flatten()
    chosen = inside[rows].to(torch.uint8)
    first, last = chosen.argmax(1), inside.shape[1] - 1 - chosen.flip(1).argmax(1)
    return torch.cat([torch.stack([first, rows], 1), torch.stack([last, rows], 1)]).float()
