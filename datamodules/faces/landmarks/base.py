"""The 68 points of a face."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from datamodules.faces.detection.base import Floats, Found, Image

PRESENCE = 0.5  # below which there is no face


@dataclass(frozen=True, kw_only=True, slots=True)
class FacePoints:
    """Where the parts of one face are."""

    points: Floats  # (68, 2)
    presence: float = float("nan")  # probability that this is a face at all, where the model says it
    mesh: Floats | None = None  # (468, 3); z in pixels, too, smaller is nearer to the camera


class Landmarks(ABC):
    """Finds points in RGB images (H, W, 3), uint8; one that looks at grey converts by itself."""

    @abstractmethod
    def fit(self, image: Image, found: Found) -> FacePoints:
        """The points of a face that was detected."""

    def follow(self, image: Image, last: FacePoints) -> FacePoints | None:
        """The points of a face that was there just before, without a detection; None from a model that needs one."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """Tells one model from another in the preprocessing contract."""


class NoLandmarks(Landmarks):
    """For methods that look at pixels alone: all points are in one place."""

    NOWHERE = np.zeros((68, 2), np.float32)  # the same for all faces of an hour

    def fit(self, image: Image, found: Found) -> FacePoints:
        return FacePoints(points=self.NOWHERE)

    def fingerprint(self) -> str:
        return "none"
