"""A plain backdrop behind a person: a smooth surface, fitted to what is surely not the person."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

FIT_SIDE = 100  # pixels of the longer side of the copy that the backdrop is fitted to
PLAIN = 6.0  # levels of 255 that a plain backdrop may stray from its fit
# colours to light and two tints, which count for more: light varies over a backdrop, its tint does not
TO_CONTRAST = np.array([[1 / 3, 1 / 3, 1 / 3], [1.5**0.5, -(1.5**0.5), 0], [0.5**0.5, 0.5**0.5, -(2**0.5)]])
SUM = np.ones((1, 3))


def fit_backdrop(image: Array, points: Array) -> Array | None:
    """The plain backdrop (H, W, 3) behind a person, a smooth surface; None where what is behind is not plain."""
    height, width = image.shape[:2]
    scale = FIT_SIDE / max(height, width)
    columns, rows = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    x, y = np.meshgrid((np.arange(columns) + 0.5) / scale, (np.arange(rows) + 0.5) / scale)
    centre, face = (points[0] + points[16]) / 2, float(np.linalg.norm(points[16] - points[0]))
    head = (abs(x - centre[0]) < 0.75 * face) & (y > centre[1] - 1.3 * face)
    certain = ~(head | (y > points[8, 1] - 0.1 * face))
    if certain.mean() < 0.05:
        return None
    u, v = x.ravel() / width * 2 - 1, y.ravel() / height * 2 - 1
    powers = sorted(((i, j) for i in range(5) for j in range(5 - i)), key=sum)
    along, down = np.vander(u, 5, increasing=True), np.vander(v, 5, increasing=True)
    terms = np.stack([along[:, i] * down[:, j] for i, j in powers], 1)  # (N, 15), the lowest first
    colours = small.reshape(-1, 3).astype(np.float64)
    weight = certain.ravel().astype(np.float64)
    for turn in range(9):
        used = terms[:, :6] if turn < 5 else terms  # bent little until hair no longer pulls at it
        weighted = used * weight[:, None]
        ridge = (1e-6 * weight.sum() + 1e-9) * np.eye(used.shape[1])
        surface = used @ np.linalg.solve(weighted.T @ used + ridge, weighted.T @ colours)
        fit = surface.reshape(small.shape).astype(np.float32)
        residual = measure_contrast(small - fit)
        if turn == 4 and np.median(residual[certain]) > PLAIN:
            return None
        spread = np.clip(6 * np.median(residual[certain]), PLAIN, 60) if turn < 5 else PLAIN
        trusted = certain if turn < 6 else grow_backdrop(small, residual, certain)
        tukey = np.clip(1 - (residual / spread) ** 2, 0, 1) ** 2
        weight = (np.maximum(tukey, 0.3 * (turn > 5)) * trusted).ravel().astype(np.float64)
    if (residual[certain] < PLAIN).mean() < 0.6:
        return None
    # what the surface misses of shadows and of the lens, from backdrop nearby
    known = grow_backdrop(small, residual, certain).astype(np.float32)
    near = cv2.GaussianBlur(known, (0, 0), 2)
    fit += cv2.GaussianBlur((small - fit) * known[..., None], (0, 0), 2) / (near + 0.05)[..., None]
    return cv2.resize(fit, (width, height), interpolation=cv2.INTER_LINEAR)


def grow_backdrop(small: Array, residual: Array, certain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Certain backdrop that fits, and what joins it without an edge."""
    step = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, square(3)).max(2)
    flat = ((step < 7) & (residual < 3 * PLAIN)).astype(np.uint8)
    count, pieces = cv2.connectedComponents(flat, connectivity=4)
    sure = np.bincount(pieces[(residual < PLAIN) & certain], minlength=count) > 20
    sure[0] = False
    return sure[pieces]


def measure_contrast(difference: Array) -> Array:
    """Levels (H, W) between colours, of their difference (H, W, 3)."""
    parts = cv2.transform(difference, TO_CONTRAST)
    parts *= parts
    return cv2.sqrt(cv2.transform(parts, SUM))


def square(side: int) -> NDArray[np.uint8]:
    """A structuring element."""
    return np.ones((side, side), np.uint8)
