"""The forehead, which the 68 points leave out: thirteen more, by their layout of 81."""

from __future__ import annotations

import numpy as np

from datamodules.faces.detection.base import Floats

# The 81-point layout numbers its forehead out of order; this is the way from one temple to the other.
FOREHEAD = [77, 75, 76, 68, 69, 70, 71, 80, 72, 73, 79, 74, 78]


def forehead(points: Floats) -> Floats:
    """(..., 68, 2) to (..., 13, 2): half an ellipse over the temples, as high as the nose is long."""
    left, right, nasion, base = (points[..., i, :] for i in (0, 16, 27, 33))
    centre, across = (left + right) / 2, (right - left) / 2
    brow = points[..., 17:27, :].mean(-2)
    up = brow + (nasion - base) - centre  # forehead and nose are a third of the face each
    angle = np.pi * np.arange(1, 14) / 14
    arc: Floats = (
        centre[..., None, :] - np.cos(angle)[:, None] * across[..., None, :] + np.sin(angle)[:, None] * up[..., None, :]
    )
    return arc


def add_forehead(points: Floats) -> Floats:
    """(..., 68, 2) to (..., 81, 2), as the layout of 81 points numbers them."""
    arc = forehead(points)
    out = np.concatenate([points, np.empty_like(arc)], -2)
    out[..., FOREHEAD, :] = arc
    return out.astype(np.float32)
