"""Finding faces in single images."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

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
