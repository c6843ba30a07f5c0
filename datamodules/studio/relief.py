"""The shape of a head: how far each point of a face is in front."""

from __future__ import annotations

import cv2
import numpy as np

from datamodules.faces.landmarks.points import LEFT_EYE, RIGHT_EYE
from datamodules.studio.face import Array
from datamodules.studio.portrait import BOTTOM, LEFT, RIGHT, TOP, make_grid

RELIEF = 20.0  # samples of the depth per half face width
LIFT = np.array([0, 0.02], np.float32)


def raise_bump(at: Array, centre: Array, width: float, height: float) -> Array:
    return np.exp(-(((at[..., 0] - centre[0]) / width) ** 2) - ((at[..., 1] - centre[1]) / height) ** 2)


def model_relief(points: Array) -> Array:
    """How far each point of the canvas is in front, (H, W): a head with a nose, eye sockets and a chin.

    Its slopes are bounded, so that up to 0.35 rad no part of the face turns behind another.
    """
    at = make_grid(RELIEF, 0, 0, round((RIGHT - LEFT) * RELIEF), round((BOTTOM - TOP) * RELIEF))
    x, y = at[..., 0] / 1.12, (at[..., 1] + 0.15) / 1.6
    r2 = x**2 + y**2
    z = 0.95 * (1 - np.minimum(r2, 1) ** 1.25) - 0.35 * np.clip(r2 - 1, 0, 1)
    tip, bridge = points[30], points[27]
    z += 0.26 * raise_bump(at, tip - LIFT, 0.17, 0.2) + 0.12 * raise_bump(at, (tip + bridge) / 2, 0.14, 0.3)
    for eye in (LEFT_EYE, RIGHT_EYE):
        z -= 0.08 * raise_bump(at, points[[*eye]].mean(0), 0.24, 0.14)
    z += 0.05 * raise_bump(at, points[[51, 57]].mean(0), 0.3, 0.16) + 0.06 * raise_bump(
        at, points[8] - 7 * LIFT, 0.25, 0.15
    )
    return cv2.GaussianBlur(z.astype(np.float32), (0, 0), 0.06 * RELIEF)


def smooth(x: Array, low: float, high: float) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
