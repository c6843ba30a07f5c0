"""Masks from landmarks: unions of filled convex hulls, for a whole batch at once."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from datamodules.augment.drawn_numbers import move
from datamodules.faces.landmarks.forehead import FOREHEAD, forehead
from datamodules.faces.landmarks.points import (
    BRIDGE,
    BROWS,
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    MOUTH,
    NOSE,
    NOSTRILS,
    RIGHT_BROW,
    RIGHT_EYE,
)
from datamodules.runtime.errors import UserError

BROW_AND_EYE = [*LEFT_BROW, *LEFT_EYE], [*RIGHT_BROW, *RIGHT_EYE]
FULL = [[*JAW, *MOUTH], [*BRIDGE, 33], [*LEFT_BROW, *RIGHT_BROW, 0, 27, 16, 33]]
COMPONENTS = [
    [*range(9), 17],
    [*range(8, 17), 26],
    [17, 18, 19, 8],
    [24, 25, 26, 8],
    [*range(19, 25), 8],
    [*LEFT_BROW, 27, *NOSTRILS, 8],
    [*RIGHT_BROW, 27, *NOSTRILS, 8],
    [*BRIDGE, *NOSTRILS],
]
ROOM = 1.6  # of an edit around the points of a part, over their own extent
DIRECTIONS = 128  # in which the corner of a hull that lies farthest is looked for
KINDS = ("full", "extended", "components", "all")  # of the whole face
PARTS = ("left eye", "right eye", "eyes", "nose", "mouth")  # as an edit of one part would change them
HIGH = "all, with the forehead"
ABOVE = 68  # where the lifted copies of the brows follow
EVERY = [*range(68)]
GROUPS: dict[str, list[list[int]]] = {
    "full": FULL,
    "extended": [[ABOVE + i - BROWS.start if i in BROWS else i for i in group] for group in FULL],
    "components": COMPONENTS,
    "all": [EVERY],
    HIGH: [[*EVERY, *range(ABOVE + len(BROWS), ABOVE + len(BROWS) + len(FOREHEAD))]],
    "left eye": [BROW_AND_EYE[0]],
    "right eye": [BROW_AND_EYE[1]],
    "eyes": [*BROW_AND_EYE],
    "nose": [[*NOSE, 39, 42]],
    "mouth": [[31, 35, *MOUTH]],
}


def check_hulls(kinds: Sequence[str]) -> None:
    check_names("hulls", kinds, (*KINDS, *PARTS))


def check_names(option: str, names: Sequence[str], known: Sequence[str]) -> None:
    if unknown := {*names} - {*known}:
        raise UserError(f"{option} {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    if not names:
        raise UserError(f"{option}: must name one or more of {', '.join(known)}")


def hull_mask(landmarks: Tensor, kind: str, height: int, width: int) -> Tensor:
    """(B, H, W) bool.

    Args:
        landmarks: (B, 68, 2) pixels; taken as whole numbers.
        kind: One of KINDS (the face, the face with lifted brows, its components, or all points) or PARTS; or HIGH.
    """
    return hull_masks(landmarks, [kind] * len(landmarks), height, width)[:, 0] > 0


def hull_masks(landmarks: Tensor, kinds: Sequence[str], height: int, width: int) -> Tensor:
    """(B, 1, H, W) 0 or 1: of each face the hull of its kind."""
    owners = [i for i, kind in enumerate(kinds) for _ in GROUPS[kind]]
    groups = [group for kind in kinds for group in GROUPS[kind]]
    longest = max(map(len, groups))
    padded = torch.tensor([group + group[:1] * (longest - len(group)) for group in groups])  # a hull bears repetition
    owner, index = move([torch.tensor(owners), padded], landmarks.device)
    whole = landmarks.long()
    every = torch.cat([whole, lifted_brows(whole), foreheads(landmarks).long()], 1)  # (B, 91, 2)
    corners = every[owner[:, None], index]  # (M, K, 2)
    if edits := [i for i, owner in enumerate(owners) if kinds[owner] in PARTS]:
        sizes = torch.tensor([len(groups[i]) for i in edits])
        own = torch.arange(longest) < sizes[:, None]  # points that are no repetition
        rows, weight = move([torch.tensor(edits), own / sizes[:, None].double()], landmarks.device)
        corners = corners.double()
        centre = (weight[..., None] * corners[rows]).sum(1, keepdim=True)
        corners[rows] = (centre + ROOM * (corners[rows] - centre)).floor()
    drawn = fill(corners, height, width)  # (M, H, W)
    if drawn.is_cpu:
        parts = drawn.split([len(GROUPS[kind]) for kind in kinds])
        return torch.stack([functools.reduce(torch.bitwise_or, part) for part in parts]).float()[:, None]
    out = torch.zeros(len(landmarks), height, width, device=landmarks.device)
    return out.index_add_(0, owner, drawn.float()).clamp_(max=1)[:, None]


def foreheads(landmarks: Tensor) -> Tensor:
    """(B, 13, 2): a linear function of the points."""
    return matrix_of_forehead(landmarks.device) @ landmarks.double()


@functools.lru_cache(maxsize=4)
def matrix_of_forehead(device: torch.device) -> Tensor:
    """(13, 68), in double precision, which no GPU rounds."""
    unit = np.repeat(np.eye(68)[:, :, None], 2, 2)  # each point alone
    arc = np.asarray(forehead(unit.astype(np.float32)), np.float64)
    return torch.from_numpy(arc[:, :, 0].T.copy()).to(device)


def lifted_brows(points: Tensor) -> Tensor:
    """(B, 10, 2) brows moved up by half their distance from the eyes."""
    corners, jaw = points[:, 36:46:9], points[:, 0:17:16]  # outer corners of the eyes, ends of the jaw
    outer = (corners + (corners + jaw) // 2) // 2
    eyes = torch.cat([outer[:, :1], points[:, 36:40], points[:, 42:46], outer[:, 1:]], 1)
    brows = points[:, BROWS.start : BROWS.stop]
    return brows + (brows - eyes) // 2


def fill(points: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W) the convex hull of each (B, N, 2), its outline included."""
    corners = polygon(points.float())
    x0, y0 = corners.unbind(-1)  # (B, K)
    ends = corners.roll(-1, 1)
    dx, dy = (ends - corners).unbind(-1)
    row = torch.arange(height, device=points.device, dtype=torch.float32)
    flat = dy == 0
    slope = dx / dy.masked_fill(flat, 1.0)
    (left, low), (right, high) = (
        side.unbind(-1) for side in (torch.minimum(corners, ends), torch.maximum(corners, ends))
    )
    skipped = (row < low[..., None]) | (row > high[..., None])  # (B, K, H)
    centre = x0[..., None] + (row - y0[..., None]) * slope[..., None]
    # a steep line is a pixel wide, one flatter than the diagonal covers several pixels of a row
    half = (slope.abs().clamp(min=1) / 2).masked_fill_(flat, torch.inf)[..., None]
    first, last = torch.maximum(centre - half, left[..., None]), torch.minimum(centre + half, right[..., None])
    begin = first.masked_fill_(skipped, torch.inf).amin(1)
    end = last.masked_fill_(skipped, -torch.inf).amax(1)  # (B, H)
    column = torch.arange(width, device=points.device, dtype=torch.float32)
    return (column >= begin[..., None]) & (column <= end[..., None])


def polygon(points: Tensor) -> Tensor:
    """(B, N, 2) to corners of the convex hull in order, (B, K, 2), many of them repeated."""
    farthest = (points @ directions(points.device)).argmax(1)
    return points.gather(1, farthest[..., None].expand(-1, -1, 2))


@functools.lru_cache(maxsize=4)
def directions(device: torch.device) -> Tensor:
    angle = torch.arange(DIRECTIONS) * (2 * torch.pi / DIRECTIONS)
    return torch.stack([angle.cos(), angle.sin()]).to(device)
