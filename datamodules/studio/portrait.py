"""A person's photographs brought to one size: the cut-out person, the smile on the same place, eyes and teeth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.studio.face import RIGID, Array, Mesh, guess_smile
from datamodules.studio.matte import cut_out
from datamodules.studio.people import Person, Photograph

LEFT, TOP, RIGHT, BOTTOM = -3.3, -2.4, 3.3, 3.4  # of a canvas, in half face widths from the centre of the face
CHIN = 1.2  # where it is
FACE = 230.0  # pixels of the width of a face in the largest photograph that is worked on


@dataclass(frozen=True, kw_only=True)
class Upright:
    """One photograph with its (2, 3) map from half face widths to its pixels."""

    image: Array  # (H, W, 3) in [0, 1]
    alpha: Array  # (H, W)
    points: Array  # (68, 2) in half face widths
    to_pixels: Array


def rectify(photograph: Photograph, cut: bool) -> Upright:
    """Eyes level, the centre of the face at 0, half a face width long 1."""
    image, p = photograph.read(), photograph.points
    shrink = FACE / float(np.linalg.norm(p[16] - p[0]))
    if shrink < 0.9:  # more than any shot shows
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        p = ((p + 0.5) * shrink - 0.5).astype(np.float32)
    if cut:
        foreground, alpha = cut_out(image, p)
    else:
        foreground, alpha = image.astype(np.float32) / np.float32(255), np.ones(image.shape[:2], np.float32)
    across = p[42:48].mean(0) - p[36:42].mean(0)
    right = across / np.linalg.norm(across)
    down = np.array([-right[1], right[0]])
    half = np.linalg.norm(p[16] - p[0]) / 2
    axes = half * np.stack([right, down], 1)  # columns
    centre = (p[0] + p[16]) / 2
    centre = centre + (np.linalg.solve(axes, p[8] - centre)[1] - CHIN) * axes[:, 1]
    points = np.linalg.solve(axes, (p - centre).T).T.astype(np.float32)
    return Upright(image=foreground, alpha=alpha, points=points, to_pixels=np.column_stack([axes, centre]))


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """What is known of a person, at the resolution of the photographs."""

    neutral: Upright
    smiling: Upright | None
    mesh: Mesh

    @property
    def points(self) -> Array:
        return self.neutral.points

    @property
    def smile(self) -> Array:
        return guess_smile(self.points) if self.smiling is None else self.smiling.points - self.points


def make_portrait(person: Person, cut: bool = True) -> Portrait:
    """The portrait of a person.

    Args:
        person: One with a neutral photograph, and perhaps a smiling one.
        cut: Whether the backdrop goes; the smile is shown on the face alone and keeps its own.
    """
    neutral = rectify(person.neutral, cut)
    smiling = None if person.smiling is None else align_smile(rectify(person.smiling, cut=False), neutral.points)
    return Portrait(neutral=neutral, smiling=smiling, mesh=Mesh(neutral.points))


def align_smile(smiling: Upright, neutral: Array) -> Upright:
    """The smile moved so that what no expression moves lies where it is in the neutral photograph."""
    move, _ = cv2.estimateAffinePartial2D(neutral[RIGID], smiling.points[RIGID], method=cv2.LMEDS)
    full = np.vstack([move, [0, 0, 1]])  # from the neutral one's half face widths to its own
    back = np.linalg.inv(full)
    return Upright(
        image=smiling.image,
        alpha=smiling.alpha,
        points=(smiling.points @ back[:2, :2].T + back[:2, 2]).astype(np.float32),
        to_pixels=smiling.to_pixels @ full,
    )


def draw_canvas(photo: Upright, scale: float) -> Array:
    """The photograph with its alpha on the canvas, (H, W, 4)."""
    width, height = canvas_size(scale)
    # canvas pixel (x, y) is at ((x, y) + 0.5) / scale + (LEFT, TOP)
    m = photo.to_pixels
    pixels = np.column_stack([m[:, :2] / scale, m[:, :2] @ [LEFT + 0.5 / scale, TOP + 0.5 / scale] + m[:, 2]])
    shrink = float(np.linalg.norm(m[:, 0]) / scale)
    layer = np.dstack([photo.image, photo.alpha])
    if shrink > 1:  # sampled more coarsely than it is: without this, lashes and hair flicker
        layer = cv2.GaussianBlur(layer, (0, 0), 0.42 * np.sqrt(shrink**2 - 1) + 1e-3)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(layer, pixels, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    # above the photograph there is nothing; at its sides and below, the body goes on
    row = make_grid(scale, 0, 0, width, height) @ m[1, :2] + m[1, 2]
    out[row < -0.5, 3] = 0
    return np.clip(out, 0, 1)


def canvas_size(scale: float) -> tuple[int, int]:
    """Width and height."""
    return round((RIGHT - LEFT) * scale), round((BOTTOM - TOP) * scale)


def make_grid(scale: float, x0: int, y0: int, x1: int, y1: int, step: int = 1) -> Array:
    """(H, W, 2) half face widths of the pixels of a part of the canvas."""
    x = (np.arange(x0, x1, step, dtype=np.float32) + 0.5) / scale + LEFT
    y = (np.arange(y0, y1, step, dtype=np.float32) + 0.5) / scale + TOP
    return np.stack(np.meshgrid(x, y), -1)
