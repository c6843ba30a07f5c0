"""dlib's frontal face detector, on histograms of gradients."""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np

from datamodules.faces.detection.base import FaceDetector, Floats, Found, Grey, Image, find_same
from datamodules.faces.view import View

WINDOW = 76  # side of the smallest face that it sees, pixels
AROUND = 2.0  # side of the region that is searched for a known face, over the face
LOOSER = -0.4  # threshold inside that region, where a face is expected
FACE = 92.0  # side that a known face is resized to


class HOG(FaceDetector):
    def find(self, image: Image, smallest: float) -> list[Found]:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        factor = WINDOW / smallest
        resized = cv2.resize(
            grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR if factor > 0.6 else cv2.INTER_AREA
        )
        scale = np.array([resized.shape[1] / grey.shape[1], resized.shape[0] / grey.shape[0]] * 2, np.float32)
        return [Found(box=(box + 0.5) / scale - 0.5, score=score) for box, score in detect(resized)]

    def follow(self, image: Image, last: Found) -> Found | None:
        """Looks again in a larger image where it finds nothing in a small one."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        for side in (FACE, 1.7 * FACE):
            view = View(grey, last.box, AROUND, side)
            boxes = [(view.to_frame(box.reshape(2, 2)).ravel(), score) for box, score in detect(view.image, LOOSER)]
            best = find_same([Found(box=box, score=score) for box, score in boxes], last.box)
            if best is not None:
                return best
        return None


def detect(grey: Grey, threshold: float = 0.0) -> list[tuple[Floats, float]]:
    """Boxes and scores of the faces of at least ``WINDOW`` pixels, best first."""
    boxes, scores, _ = hog().run(np.ascontiguousarray(grey), 0, threshold)
    corners = [np.array([b.left(), b.top(), b.right() + 1, b.bottom() + 1], np.float32) - 0.5 for b in boxes]
    return [(corner, float(score)) for corner, score in zip(corners, scores, strict=True)]


@functools.cache
def hog() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()
