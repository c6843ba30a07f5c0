"""What a face detector is, and what it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Grey = NDArray[np.uint8]  # (H, W)
Floats = NDArray[np.float32]
SMALLEST = 38.0  # side of the smallest face that is searched for, pixels
SAME = 0.3  # overlap from which two boxes are one face


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One detection."""

    box: Floats  # (4,) x0 y0 x1 y1, pixel centres at whole numbers; brows to chin, as dlib's
    score: float  # comparable only among those of one detector
    keypoints: Floats | None = None  # (6, 2) eyes, nose tip, mouth, ears; the person's right one first


class FaceDetector(ABC):
    """Finds faces in RGB images (H, W, 3), uint8; one that looks at grey converts by itself."""

    @abstractmethod
    def find(self, image: Image, smallest: float) -> list[Found]:
        """All faces of an image, none twice, best first.

        Args:
            smallest: Side of the smallest face that is searched for, in pixels.
        """

    @abstractmethod
    def follow(self, image: Image, last: Found) -> Found | None:
        """A face near where it was just before; cheaper than to search all of the image."""

    def fingerprint(self) -> str:
        """Tells one detector, as it is set, from another in the preprocessing contract."""
        return type(self).__name__


def search_frame(detector: FaceDetector, image: Image, smallest: float) -> list[Found]:
    """All faces of a whole frame; the smallest grows with frames above 720 lines."""
    return detector.find(image, smallest * max(1.0, min(image.shape[:2]) / 720))


def overlap(a: Floats, b: Floats) -> float:
    """Intersection over union of two boxes."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    both = float(w * h)
    return both / (float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - both)


def find_same(found: list[Found], box: Floats) -> Found | None:
    """The one that is the same face as a box, if any."""
    best = max(found, key=lambda f: overlap(f.box, box), default=None)
    return best if best is not None and overlap(best.box, box) > SAME else None
