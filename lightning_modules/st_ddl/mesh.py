"""Motion of a mesh between facial landmarks: a triangle moves its pixels to where it is in the next frame."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.faces.landmarks.points import MIRROR

# Delaunay's triangles of a mean frontal face, all within jaw and brows: those of its left half. All 68 points are used.
LEFT = (
    (0, 17, 36),
    (0, 36, 1),
    (1, 36, 41),
    (1, 41, 2),
    (2, 31, 48),
    (2, 41, 31),
    (2, 48, 3),
    (3, 48, 4),
    (4, 48, 5),
    (5, 48, 59),
    (5, 59, 6),
    (6, 58, 7),
    (6, 59, 58),
    (7, 58, 8),
    (8, 58, 57),
    (17, 18, 36),
    (18, 19, 37),
    (18, 37, 36),
    (19, 20, 37),
    (20, 21, 38),
    (20, 38, 37),
    (21, 27, 39),
    (21, 39, 38),
    (27, 28, 39),
    (28, 29, 39),
    (29, 30, 31),
    (29, 31, 40),
    (29, 40, 39),
    (30, 32, 31),
    (30, 33, 32),
    (31, 32, 50),
    (31, 41, 40),
    (31, 49, 48),
    (31, 50, 49),
    (32, 33, 50),
    (33, 51, 50),
    (36, 37, 41),
    (37, 38, 40),
    (37, 40, 41),
    (38, 39, 40),
    (48, 49, 60),
    (48, 60, 59),
    (49, 50, 61),
    (49, 59, 60),
    (49, 61, 67),
    (49, 67, 59),
    (50, 51, 61),
    (51, 62, 61),
    (57, 58, 66),
    (58, 59, 67),
    (58, 67, 66),
    (61, 62, 67),
    (62, 66, 67),
)
# never made anew for a face: another topology in the next frame would look like motion
TRIANGLES = torch.tensor([*LEFT, *((MIRROR[a], MIRROR[c], MIRROR[b]) for a, b, c in LEFT), (21, 22, 27)])
LEAST = 1.0  # square pixels; what is smaller has no motion


@torch.no_grad()
def mesh_motion(points: Tensor, moved: Tensor, height: int, width: int) -> Tensor:
    """(F, 3, H, W): how far each pixel moves right and down, and 1 within the mesh, 0 with no motion outside.

    Args:
        points: (F, 68, 2) x and y in pixels; whole numbers are pixel centres.
        moved: (F, 68, 2) where these points are in the next frame.
    """
    f, device = len(points), points.device
    triangles = TRIANGLES.to(device)
    corner = points[:, triangles].flatten(0, 1)  # (N, 3, 2), N triangles of all frames
    shift = moved[:, triangles].flatten(0, 1) - corner
    a, b = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    twice = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    whole = twice.abs() >= 2 * LEAST
    corner, shift, a, b, twice = (x[whole] for x in (corner, shift, a, b, twice))
    frame = torch.arange(f, device=device).repeat_interleave(len(triangles))[whole]
    # the motion at p is shift[0] + (across, down) @ (p - corner[0])
    da, db = shift[:, 1] - shift[:, 0], shift[:, 2] - shift[:, 0]
    across = (da * b[:, 1:] - db * a[:, 1:]) / twice[:, None]  # (N, 2)
    down = (db * a[:, :1] - da * b[:, :1]) / twice[:, None]

    # the rows of pixels that each triangle has, and the first pixel of each
    top, bottom = (y.ceil().clamp(0, height).long() for y in (corner[..., 1].amin(1), corner[..., 1].amax(1)))
    triangle, line = spread(bottom - top)
    # index_select, as scatter_ below: several times as fast as indexing on a CPU
    y = top.index_select(0, triangle) + line
    left, right = span(corner, triangle, y, width)
    first, start, across, down, frame = (
        x.index_select(0, triangle) for x in (corner[:, 0], shift[:, 0], across, down, frame)
    )
    away = torch.stack([left, y], 1) - first
    begin = start + across * away[:, :1] + down * away[:, 1:]
    lines = torch.cat([begin, across], 1)  # (R, 4) motion there, and per pixel to the right

    row, step = spread(right - left)
    place = ((frame * height + y) * width + left).index_select(0, row).add_(step)
    size = f * height * width
    seen = torch.zeros(size, dtype=torch.int32, device=device)
    number = row.int().add_(1)
    seen.scatter_reduce_(0, place, number, "amax")
    # where the mesh is folded the last triangle is seen
    place = torch.where(seen.index_select(0, place) == number, place, size)
    line_of, step = lines.index_select(0, row), step.to(points.dtype)
    out = points.new_zeros(3, size + 1)  # the last pixel takes what is hidden
    for i in range(2):
        out[i].scatter_(0, place, torch.addcmul(line_of[:, i], line_of[:, 2 + i], step))
    out[2, :-1].copy_(seen).clamp_(max=1)  # a comparison takes four times as long
    return out[:, :-1].view(3, f, height, width).transpose(0, 1)


def spread(count: Tensor) -> tuple[Tensor, Tensor]:
    """For N counts: which of them each of their sum belongs to, and its place there."""
    which = torch.repeat_interleave(count)
    first = count.cumsum(0) - count
    return which, torch.arange(len(which), device=count.device).sub_(first.index_select(0, which))


def span(corner: Tensor, triangle: Tensor, y: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """First pixel of row y within each triangle, and the first beyond; neighbours share none and leave none.

    Args:
        corner: (N, 3, 2).
        triangle: (R,) that each row of pixels is of.
        y: (R,).
    """
    p, q = corner, corner.roll(-1, 1)
    upper = (p[..., 1] <= q[..., 1])[..., None]
    p, q = torch.where(upper, p, q), torch.where(upper, q, p)  # a side is the same for both its triangles
    away = q - p
    sides = torch.stack([p[..., 0], p[..., 1], q[..., 1], away[..., 0], away[..., 1]]).transpose(1, 2)  # (5, 3, N)
    start, top, bottom, across, down = sides.flatten(0, 1).index_select(1, triangle).unflatten(0, (5, 3))
    x = start + (y - top) * across / down
    is_missed = (y < top) | (y >= bottom)
    left, right = x.masked_fill(is_missed, torch.inf).amin(0), x.masked_fill(is_missed, -torch.inf).amax(0)
    left, right = (side.ceil().clamp(0, width).long() for side in (left, right))
    return left, torch.maximum(left, right)
