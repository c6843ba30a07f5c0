"""Finding faces and their landmarks in single pictures."""

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
from numpy.typing import NDArray

from datamodules.errors import Refused

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
SMALLEST = 38.0  # side of the smallest face that is searched for, pixels
WINDOW = 76  # side of the smallest face that dlib's HOG sees, pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One detection."""

    box: Floats  # (4,) x0 y0 x1 y1, pixel centres at whole numbers
    score: float


class Detector(ABC):
    @abstractmethod
    def find(self, grey: Grey, threshold: float = 0.0) -> list[Found]:
        """Frontal faces of at least ``WINDOW`` pixels, best first."""


class HOG(Detector):
    """dlib's frontal detector; looks at one scale of the picture, larger faces included."""

    def find(self, grey: Grey, threshold: float = 0.0) -> list[Found]:
        boxes, scores, _ = hog().run(np.ascontiguousarray(grey), 0, threshold)
        corners = [np.array([b.left(), b.top(), b.right() + 1, b.bottom() + 1], np.float32) - 0.5 for b in boxes]
        return [Found(box=corner, score=float(score)) for corner, score in zip(corners, scores, strict=True)]


@functools.cache
def hog() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()


class Landmarks(ABC):
    @abstractmethod
    def fit(self, grey: Grey, box: Floats) -> Floats:
        """The (68, 2) points of the face in a box, as floats."""

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

    def fit(self, grey: Grey, box: Floats) -> Floats:
        import dlib

        view = View(grey, box, self.AROUND, self.FACE)
        inner = dlib.rectangle(*(int(v) for v in np.rint(view.inward(box.reshape(2, 2)).ravel())))
        shape = predictor(self.path)(view.picture, inner)
        return view.outward(np.array([[p.x, p.y] for p in shape.parts()], np.float32))

    def fingerprint(self) -> str:
        return fingerprint(self.path)


class NoLandmarks(Landmarks):
    """For methods that look at pixels alone: all points are in one place."""

    NOWHERE = np.zeros((68, 2), np.float32)  # the same for all faces of an hour

    def fit(self, grey: Grey, box: Floats) -> Floats:
        return self.NOWHERE

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


class View:
    """A square around a box, resized so that the box gets a given side."""

    def __init__(self, grey: Grey, box: Floats, around: float, side: float) -> None:
        x0, y0, x1, y1 = map(float, box)
        size = max(x1 - x0, y1 - y0)
        self.scale = side / size
        self.corner = np.array([(x0 + x1) / 2 - around * size / 2, (y0 + y1) / 2 - around * size / 2], np.float32)
        out = max(1, round(around * side))
        matrix = np.array([[1 / self.scale, 0, self.corner[0]], [0, 1 / self.scale, self.corner[1]]], np.float32)
        matrix[:, 2] += 0.5 / self.scale  # corner is the edge of the first pixel, not its centre
        if self.scale < 0.6:  # shrinking by interpolation alone would alias
            x, y = (int(max(0, v)) for v in np.floor(self.corner))
            part = grey[y : int(self.corner[1] + around * size) + 2, x : int(self.corner[0] + around * size) + 2]
            factor = 1 / max(1, int(1 / self.scale))
            grey = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            true = np.array([grey.shape[1] / part.shape[1], grey.shape[0] / part.shape[0]], np.float32)
            matrix *= true[:, None]
            matrix[:, 2] += (0.5 - np.array([x, y])) * true - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        self.picture = cv2.warpAffine(grey, matrix, (out, out), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def inward(self, points: Floats) -> Floats:
        return ((points - self.corner) * self.scale - 0.5).astype(np.float32)

    def outward(self, points: Floats) -> Floats:
        return ((points + 0.5) / self.scale + self.corner).astype(np.float32)


def search(detector: Detector, grey: Grey, smallest: float) -> list[Found]:
    """All faces of a picture down to a size, none twice."""
    factor = WINDOW / smallest
    resized = cv2.resize(
        grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR if factor > 0.6 else cv2.INTER_AREA
    )
    scale = np.array([resized.shape[1] / grey.shape[1], resized.shape[0] / grey.shape[0]] * 2, np.float32)
    return [Found(box=(found.box + 0.5) / scale - 0.5, score=found.score) for found in detector.find(resized)]


def search_frame(detector: Detector, grey: Grey, smallest: float) -> list[Found]:
    """All faces of a whole frame; the smallest grows with frames above 720 lines."""
    return search(detector, grey, smallest * max(1.0, min(grey.shape) / 720))


def overlap(a: Floats, b: Floats) -> float:
    """Intersection over union of two boxes."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    both = float(w * h)
    return both / (float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - both)


# The 81-point layout numbers its forehead out of order; this is the way from one temple to the other.
FOREHEAD = [77, 75, 76, 68, 69, 70, 71, 80, 72, 73, 79, 74, 78]


def with_forehead(points: Floats) -> Floats:
    """(..., 68, 2) to (..., 81, 2): half an ellipse over the temples, as high as the nose is long."""
    left, right, nasion, base = (points[..., i, :] for i in (0, 16, 27, 33))
    centre, across = (left + right) / 2, (right - left) / 2
    brow = points[..., 17:27, :].mean(-2)
    up = brow + (nasion - base) - centre  # forehead and nose are a third of the face each
    angle = np.pi * np.arange(1, 14) / 14
    arc = (
        centre[..., None, :] - np.cos(angle)[:, None] * across[..., None, :] + np.sin(angle)[:, None] * up[..., None, :]
    )
    out = np.concatenate([points, np.empty_like(arc)], -2)
    out[..., FOREHEAD, :] = arc
    return out.astype(np.float32)
