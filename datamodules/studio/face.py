"""The 68 landmarks of a person as the expression changes, and the mesh that carries the pixels along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from datamodules.faces.landmarks.points import JAW

Array = NDArray[np.floating[Any]]  # float32 throughout; OpenCV takes no other

RIGID = [27, 28, 29, 30, 36, 39, 42, 45]  # points that no expression moves
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))  # upper, lower
THINNEST = 0.4  # steps of the grid
RING, REACH = 32, 1.45  # still points around the face, and how far out


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    blink: float = 0.0  # 1 is closed
    gaze: tuple[float, float] = (0.0, 0.0)
    mouth: float = 0.0  # 1 is wide open
    smile: float = 0.0  # 1 is the smiling photograph
    brows: float = 0.0  # 1 is raised


def guess_smile(neutral: Array) -> Array:
    """How the points of somebody move who was photographed once: the corners of the mouth go out and up."""
    out = np.zeros_like(neutral)
    for corner, near, side in ((48, (49, 59, 60), -1), (54, (53, 55, 64), 1)):
        out[corner] = (0.09 * side, -0.06)
        out[list(near)] = (0.06 * side, -0.04)
    out[[4, 5, 11, 12]] = [(-0.02, 0), (-0.015, 0), (0.015, 0), (0.02, 0)]
    return out


def express(neutral: Array, smile: Array, expression: Expression) -> Array:
    """The (68, 2) points of a face turned to the front, in half face widths.

    Args:
        neutral: (68, 2) points of the neutral photograph.
        smile: (68, 2), by how much they move for a full smile.
        expression: Expression in this frame.
    """
    p = neutral + expression.smile * smile
    drop = 0.2 * expression.mouth
    p[[*range(55, 60), 65, 66, 67], 1] += drop
    p[[48, 54, 60, 64], 1] += 0.3 * drop
    p[[48, 60], 0] += 0.12 * drop
    p[[54, 64], 0] -= 0.12 * drop
    p[5:12, 1] += 0.75 * drop
    p[[3, 4, 12, 13], 1] += 0.35 * drop
    p[17:27, 1] -= 0.06 * expression.brows
    gazing = 0.012 * expression.gaze[1]
    for upper, lower in LIDS:
        p[upper] += 0.96 * expression.blink * (p[lower] - p[upper]) + (0, (1 - expression.blink) * gazing)
    return p.astype(np.float32)


class Mesh:
    """Triangles over the landmarks and a still ring around them."""

    def __init__(self, neutral: Array) -> None:
        """
        Args:
            neutral: (68, 2) points in half face widths.
        """
        middle = neutral[[*JAW]].mean(0) - (0, 0.1)
        angle = np.linspace(0, 2 * np.pi, RING, endpoint=False)
        radius = np.linalg.norm(neutral[[*JAW]] - middle, axis=1).max()
        self.ring = (middle + REACH * radius * np.stack([np.cos(angle), np.sin(angle)], 1)).astype(np.float32)
        spread = neutral.astype(np.float64)  # open eyes and lips, so that no triangle lies across them
        spread[[*range(55, 60), 65, 66, 67], 1] += 0.25
        spread[[48, 54, 60, 64], 1] += 0.1
        spread[[37, 38, 43, 44], 1] -= 0.05
        spread[5:12, 1] += 0.2
        self.triangles = Delaunay(np.concatenate([spread, self.ring])).simplices

    def find_source(self, source: Array, target: Array, grid: Array) -> Array:
        """Where the pixels of a grid come from, (H, W, 2).

        Args:
            source: (68, 2) points where the pixels are taken from.
            target: (68, 2) points where they are shown.
            grid: (H, W, 2) coordinates of an upright, regular grid.
        """
        to, origin = np.concatenate([target, self.ring]), np.concatenate([source, self.ring])
        step = grid[1, 1] - grid[0, 0]
        corners = to[self.triangles]  # (N, 3, 2)
        known = np.concatenate([corners, np.ones((len(corners), 3, 1))], 2)
        # a triangle thinner than a pixel has no inside, and its map is anything: the neighbours cover it
        longest = np.linalg.norm(corners - np.roll(corners, 1, 1), axis=-1).max(1)
        flat = np.abs(np.linalg.det(known)) < THINNEST * float(step.min()) * longest
        known[flat] = np.eye(3)
        number = np.zeros(grid.shape[:2], np.uint8)
        at = np.rint((corners - grid[0, 0]) / step * 16).astype(np.int32)
        for i in np.flatnonzero(~flat):
            cv2.fillConvexPoly(number, at[i], int(i) + 1, cv2.LINE_8, 4)
        # affine maps of all triangles at once: (x, y, 1) @ unknown = where from
        affine = np.linalg.solve(known, origin[self.triangles].astype(np.float64))  # (N, 3, 2)
        affine = np.concatenate([np.eye(3)[None, :, :2], affine]).astype(np.float32)[number]  # (H, W, 3, 2)
        return affine[..., 0, :] * grid[..., :1] + affine[..., 1, :] * grid[..., 1:] + affine[..., 2, :]


def enlarge(coarse: Array, step: int, width: int, height: int, x0: int = 0, y0: int = 0) -> Array:
    """A field known at every few pixels, at all of those from (x0, y0) on."""
    known = np.array([[1 / step, 0, x0 / step], [0, 1 / step, y0 / step]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(coarse, known, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def draw_outline(points: Array) -> Array:
    """A closed, smooth outline through points, four pieces between each two."""
    before, after = np.roll(points, 1, 0), np.roll(points, -1, 0)
    beyond = np.roll(points, -2, 0)
    t = (np.arange(4, dtype=np.float32) / 4)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (before, points, after, beyond))
    out = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return out.reshape(-1, 2)
