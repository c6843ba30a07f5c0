"""How well a face can be seen in one frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datamodules.faces.crop import Region
from datamodules.faces.landmarks.base import PRESENCE
from datamodules.faces.pose import HeadPose
from datamodules.faces.tracking.track import UNKNOWN

SIDE = 96  # of the crop in which faces are compared
# beyond, landmarks cannot be believed: near profile they slide over the face. What nobody measured is believed
YAW, PITCH = 45.0, 30.0
DARK, BRIGHT = 20, 250  # greys beyond which there is nothing to see


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """Of one face in one frame; nan is what nobody measured."""

    side: float  # longer one of its box, in pixels
    sharpness: float  # variance of the Laplacian of the inner half of its crop, at 48 pixels
    unexposed: float  # share of the same pixels that are nearly black or white
    outside: float  # share of the crop that is beyond the edge of the frame
    presence: float = float("nan")  # probability that it is a face, says the landmark model
    yaw: float = float("nan")  # degrees, as HeadPose has them
    pitch: float = float("nan")
    roll: float = float("nan")


def measure_quality(
    frame: NDArray[np.uint8],
    box: NDArray[np.float32],
    region: Region,
    presence: float = float("nan"),
    pose: HeadPose = UNKNOWN,
) -> Quality:
    """
    Args:
        frame: (H, W, 3).
        box: (4,) of the face.
        region: Region that a method sees.
        presence: Probability that it is a face, says the landmark model.
    """
    grey = cv2.cvtColor(region.cut(frame, SIDE), cv2.COLOR_RGB2GRAY)
    inner = np.asarray(grey[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4], np.uint8)  # which is face
    return Quality(
        side=float(max(box[2] - box[0], box[3] - box[1])),
        sharpness=measure_sharpness(inner),
        unexposed=float(((inner < DARK) | (inner > BRIGHT)).mean()),
        outside=measure_outside(region, frame),
        presence=presence,
        yaw=pose.yaw,
        pitch=pose.pitch,
        roll=pose.roll,
    )


def find_plausible(rows: pa.Table) -> NDArray[np.bool_]:
    """(N,) whether the landmarks of each row of the table of faces can be believed."""
    presence, yaw, pitch = (rows[name].to_numpy() for name in ("presence", "yaw", "pitch"))
    doubtful = (presence < PRESENCE) | (np.abs(yaw) > YAW) | (np.abs(pitch) > PITCH)
    return ~np.asarray(doubtful, bool)


def worsen(quality: Quality, presence: float, pose: HeadPose) -> Quality:
    """Of a clip whose next frame may say more against its landmarks."""

    def take_larger(a: float, b: float) -> float:
        return b if isnan(a) or abs(b) > abs(a) else a

    least = presence if isnan(quality.presence) else min(quality.presence, presence)
    return replace(
        quality, presence=least, yaw=take_larger(quality.yaw, pose.yaw), pitch=take_larger(quality.pitch, pose.pitch)
    )


def measure_sharpness(grey: NDArray[np.uint8]) -> float:
    """Low where there are no fine structures."""
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def measure_outside(region: Region, frame: NDArray[np.uint8]) -> float:
    """Share of a crop that is beyond the edge of its frame."""
    h, w = frame.shape[:2]
    corners = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]], np.float32)
    crop = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]], np.float32)
    return 1 - float(cv2.intersectConvexConvex(region.to_crop(corners, 1), crop)[0])
