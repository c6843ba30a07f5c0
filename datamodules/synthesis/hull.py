"""Masks from landmarks: unions of filled convex hulls, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

JAW, MOUTH = [*range(17)], [*range(48, 68)]
LEFT_BROW, RIGHT_BROW = [*range(17, 22)], [*range(22, 27)]
NOSTRILS = [*range(31, 36)]
FULL = [[*JAW, *MOUTH], [27, 28, 29, 30, 33], [*LEFT_BROW, *RIGHT_BROW, 0, 27, 16, 33]]
COMPONENTS = [
    [*range(9), 17],
    [*range(8, 17), 26],
    [17, 18, 19, 8],
    [24, 25, 26, 8],
    [*range(19, 25), 8],
    [*LEFT_BROW, 27, *NOSTRILS, 8],
    [*RIGHT_BROW, 27, *NOSTRILS, 8],
    [27, 28, 29, 30, *NOSTRILS],
]
DIRECTIONS = 128  # in which the corner of a hull that lies farthest is looked for
KINDS = ("full", "extended", "components", "all")


def hull_mask(landmarks: Tensor, kind: str, height: int, width: int) -> Tensor:
    """(B, H, W) bool.

    Args:
        landmarks: (B, 68 or 81, 2) pixels; taken as whole numbers.
        kind: One of KINDS: the face, the face with lifted brows, its components, or all points.
    """
    points = landmarks.long()
    if kind == "extended":
        points = lift_brows(points)
    groups = {"full": FULL, "extended": FULL, "components": COMPONENTS}.get(kind, [[*range(points.shape[1])]])
    mask = torch.zeros(len(points), height, width, dtype=torch.bool, device=points.device)
    for group in groups:
        mask |= filled(points[:, group], height, width)
    return mask


def hull_masks(landmarks: Tensor, names: Sequence[str], kind: Tensor, height: int, width: int) -> Tensor:
    """(B, 1, H, W) 0 or 1: of each face the hull that ``kind`` (B,), on the CPU, points to; none below 0."""
    out = torch.zeros(len(landmarks), 1, height, width, device=landmarks.device)
    for i, name in enumerate(names):
        rows = (kind == i).nonzero().flatten().to(landmarks.device)
        if len(rows):
            out[rows, 0] = hull_mask(landmarks[rows], name, height, width).float()
    return out


def lift_brows(points: Tensor) -> Tensor:
    """Brows moved up by half their distance from the eyes."""
    left, right = (points[:, 36] + points[:, 0]) // 2, (points[:, 16] + points[:, 45]) // 2
    outer_left, outer_right = (points[:, 36] + left) // 2, (points[:, 45] + right) // 2
    eyes_left = torch.stack([outer_left, *(points[:, i] for i in (36, 37, 38, 39))], 1)
    eyes_right = torch.stack([*(points[:, i] for i in (42, 43, 44, 45)), outer_right], 1)
    out = points.clone()
    for brow, eye in ((LEFT_BROW, eyes_left), (RIGHT_BROW, eyes_right)):
        out[:, brow] = points[:, brow] + (points[:, brow] - eye) // 2
    return out


def filled(points: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W) the convex hull of each (B, N, 2), its outline included."""
    corners = polygon(points.float())
    x0, y0 = corners.unbind(-1)  # (B, K)
    dx, dy = (corners.roll(-1, 1) - corners).unbind(-1)
    row = torch.arange(height, device=points.device, dtype=torch.float32)
    flat = dy == 0
    slope = dx / torch.where(flat, 1.0, dy)
    low, high = torch.minimum(y0, y0 + dy), torch.maximum(y0, y0 + dy)
    crossed = (row >= low[..., None]) & (row <= high[..., None])  # (B, K, H)
    centre = x0[..., None] + (row - y0[..., None]) * slope[..., None]
    # a steep line is a pixel wide, one flatter than the diagonal covers several pixels of a row
    half = torch.where(flat, torch.inf, slope.abs().clamp(min=1) / 2)[..., None]
    left, right = torch.minimum(x0, x0 + dx)[..., None], torch.maximum(x0, x0 + dx)[..., None]
    first, last = torch.maximum(centre - half, left), torch.minimum(centre + half, right)
    begin = torch.where(crossed, first, torch.inf).amin(1)
    end = torch.where(crossed, last, -torch.inf).amax(1)  # (B, H)
    column = torch.arange(width, device=points.device, dtype=torch.float32)
    return (column >= begin[..., None]) & (column <= end[..., None])


def polygon(points: Tensor) -> Tensor:
    """(B, N, 2) to corners of the convex hull in order, (B, K, 2), many of them repeated."""
    angle = torch.arange(DIRECTIONS, device=points.device) * (2 * torch.pi / DIRECTIONS)
    farthest = (points @ torch.stack([angle.cos(), angle.sin()])).argmax(1)
    return points.gather(1, farthest[..., None].expand(-1, -1, 2))
