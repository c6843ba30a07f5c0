"""How a head is turned, by the points of its face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datamodules.faces.detection.base import Floats
from datamodules.faces.landmarks.base import FacePoints
from datamodules.faces.landmarks.mesh_points import convert_to_68
from datamodules.faces.landmarks.points import BROWS, EYES
from datamodules.faces.tflite import MODELS

# (468, 3) of the average neutral face of London, upright; the outer corners of the eyes are 1 apart
MEAN = np.load(MODELS / "mean_face.npy")
MEAN_68 = convert_to_68(MEAN)  # (68, 3)
UPPER = MEAN[:, 1] < 0.35  # above the upper lip, of the mesh: what a mouth that opens does not move
BROWS_TO_EYES = slice(BROWS.start, EYES.stop)  # the same, of the 68


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadPose:
    """Degrees; none is turned of a face that looks into the camera."""

    yaw: float  # positive: towards the right side of the image
    pitch: float  # positive: up
    roll: float  # positive: clockwise in the image


def measure_pose(face: FacePoints) -> HeadPose:
    """By the mesh where there is one, otherwise by the 68 points."""
    if face.mesh is None:
        return angles(turn_flat(MEAN_68[BROWS_TO_EYES], face.points[BROWS_TO_EYES]))
    return angles(turn(MEAN[UPPER], face.mesh[UPPER]))


def turn(still: Floats, seen: Floats) -> Floats:
    """(3, 3), the rotation of (N, 3) points to (N, 3) others that is nearest in the sense of Procrustes."""
    u, _, v = np.linalg.svd((still - still.mean(0)).T @ (seen - seen.mean(0)))
    u[:, 2] *= np.sign(np.linalg.det(u @ v))  # not a reflection
    rotation: Floats = (u @ v).T
    return rotation


def turn_flat(still: Floats, seen: Floats) -> Floats:
    """(3, 3), the rotation of (N, 3) points to (N, 2) that a distant camera saw."""
    projection = np.linalg.lstsq(still - still.mean(0), seen - seen.mean(0), rcond=None)[0].T  # (2, 3)
    u, _, v = np.linalg.svd(projection, full_matrices=False)
    x, y = u @ v
    return np.stack([x, y, np.cross(x, y)])


def angles(rotation: Floats) -> HeadPose:
    """Of a head that turned sideways first, then nodded, then tilted; z points away from the camera."""
    yaw, pitch, roll = np.degrees(
        [
            np.arctan2(rotation[2, 0], rotation[2, 2]),
            np.arcsin(np.clip(-rotation[2, 1], -1, 1)),
            np.arctan2(-rotation[0, 1], rotation[1, 1]),
        ]
    )
    return HeadPose(yaw=float(yaw), pitch=float(pitch), roll=float(roll))
