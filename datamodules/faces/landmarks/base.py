"""The 68 points of a face."""

from __future__ import annotations

import functools
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datamodules.faces.detection.base import Floats, Found, Image
from datamodules.faces.view import View
from datamodules.runtime.errors import Refused

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
        """The points of a face that was there a moment ago, without a detection; None from a model that needs one."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """Tells one model from another in the preprocessing contract."""


class DlibLandmarks(Landmarks):
    """A 68-point model in dlib's format."""

    FACE = 400  # dlib keeps points as whole pixels: the face is enlarged to this side first
    AROUND = 1.5

    def __init__(self, path: Path | None = None) -> None:
        """
        Args:
            path: The model file. Without it, the one that 'pip install deepfake-suite[landmarks]' brings.
        """
        if path is not None and not Path(path).is_file():
            raise Refused(f"landmark model {path}: no such file")
        self.path = Path(path) if path is not None else packaged_model()

    def fit(self, image: Image, found: Found) -> FacePoints:
        import dlib

        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        view = View(grey, found.box, self.AROUND, self.FACE)
        inner = dlib.rectangle(*(int(v) for v in np.rint(view.inward(found.box.reshape(2, 2)).ravel())))
        shape = predictor(self.path)(view.picture, inner)
        return FacePoints(points=view.outward(np.array([[p.x, p.y] for p in shape.parts()], np.float32)))

    def fingerprint(self) -> str:
        return fingerprint(self.path)


class NoLandmarks(Landmarks):
    """For methods that look at pixels alone: all points are in one place."""

    NOWHERE = np.zeros((68, 2), np.float32)  # the same for all faces of an hour

    def fit(self, image: Image, found: Found) -> FacePoints:
        return FacePoints(points=self.NOWHERE)

    def fingerprint(self) -> str:
        return "none"


@functools.cache
def fingerprint(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=8).hexdigest()


@functools.cache
def predictor(path: Path) -> Any:
    import dlib

    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise Refused(f"landmark model {path}: not a dlib shape predictor ({error})") from error


@functools.cache
def packaged_model() -> Path:
    package = find_spec("face_recognition_models")  # located, not imported: its import needs pkg_resources
    if package is None or not package.submodule_search_locations:
        raise Refused("no landmark model: give a path, or 'pip install deepfake-suite[landmarks]'")
    sys.stderr.write("landmarks: the 68-point model was trained on iBUG 300-W, whose licence excludes commercial use\n")
    return Path(package.submodule_search_locations[0]) / "models" / "shape_predictor_68_face_landmarks.dat"


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


def with_forehead(points: Floats) -> Floats:
    """(..., 68, 2) to (..., 81, 2), as the layout of 81 points numbers them."""
    arc = forehead(points)
    out = np.concatenate([points, np.empty_like(arc)], -2)
    out[..., FOREHEAD, :] = arc
    return out.astype(np.float32)
