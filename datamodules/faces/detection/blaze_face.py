"""BlazeFace, full range: MediaPipe's face detector, under Apache-2.0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import atan2, ceil, log

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.faces import tflite
from datamodules.faces.detection.base import SAME, FaceDetector, Floats, Found, Image, find_same, overlap
from datamodules.faces.view import View
from datamodules.runtime.errors import UserError

MODEL = "face_detection_full_range.tflite"
OUTPUTS = ("reshaped_classifier_face_4", "reshaped_regressor_face_4")
SIDE, STRIDE = 192, 4  # of its input and of its grid
WINDOW = 12  # side of the smallest face that it sees, pixels of the input: 26 of 26 of London, 24 at 10
STEPS = 4.0  # at most, from one scale that is searched to the next
MARGIN = 1.4  # what is wanted of the surroundings of a face, over the face
DLIB = 1.065  # side of its box over that of dlib's HOG, measured on London
FOLLOWED = 64.0  # side that a known face is resized to

# image, corner in the resized image, scale (2,), which sides are not the end of the image: left top right bottom
Part = tuple[Image, Floats, Floats, NDArray[np.bool_]]

row, column = np.mgrid[: SIDE // STRIDE, : SIDE // STRIDE]
ANCHORS = (np.stack([column, row], -1).reshape(-1, 1, 2) + 0.5).astype(np.float32) * STRIDE


class BlazeFace(FaceDetector):
    def __init__(self, threshold: float = 0.5) -> None:
        """
        Args:
            threshold: Least score of a face, from 0 to 1.
        """
        if not 0 < threshold < 1:
            raise UserError(f"threshold {threshold}: must be between 0 and 1")
        self.threshold = threshold

    def find(self, image: Image, smallest: float) -> list[Found]:
        """Searched are the whole image and, where faces may be too small for that, overlapping parts of it.

        A turned face that fills half of the image is seen at half the size alone, where others are seen less well.
        """
        found = self.search(image, cut(image, smallest))
        large = self.search(image, [shrink(image)])
        found += [one for one in large if all(overlap(one.box, other.box) < SAME for other in found)]
        return sorted(found, key=lambda one: -one.score)

    def fingerprint(self) -> str:
        return f"{super().fingerprint()} {tflite.fingerprint(MODEL)} {self.threshold:g}"

    def search(self, image: Image, parts: Iterable[Part]) -> list[Found]:
        boxes, scores = [np.empty((0, 8, 2), np.float32)], [np.empty(0, np.float32)]
        for part, corner, scale, inner in parts:
            found, score = detect(part, self.threshold)
            low, high = found[:, 0] < 0, found[:, 1] > SIDE - 1
            # a face that goes on in the next part is seen whole there
            whole = ~(np.concatenate([low, high], 1) & inner).any(1)
            boxes.append((found[whole] + 0.5 + corner) / scale - 0.5)
            scores.append(score[whole])
        return merge(np.concatenate(boxes).astype(np.float32), np.concatenate(scores))

    def follow(self, image: Image, last: Found) -> Found | None:
        """Looks at an upright image of the face, where ``last`` says how it is turned."""
        view = View(image, last.box, SIDE / FOLLOWED, FOLLOWED, measure_roll(last.keypoints))
        boxes, scores = detect(view.image, self.threshold / 2)  # a face is expected
        centres, sides = view.to_frame(boxes[:, :2].mean(1)), (boxes[:, 1] - boxes[:, 0]) / view.scale
        boxes = np.stack([centres - sides / 2, centres + sides / 2, *np.moveaxis(view.to_frame(boxes[:, 2:]), 1, 0)], 1)
        return find_same(merge(boxes, scores), last.box)


def measure_roll(keypoints: Floats | None) -> float:
    """Angle of the line through the eyes, in radians; clockwise is positive."""
    if keypoints is None:
        return 0.0
    x, y = keypoints[1] - keypoints[0]
    return atan2(float(y), float(x))


def pad(part: Image) -> Image:
    """At the upper left of the network's input."""
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    canvas[: part.shape[0], : part.shape[1]] = part
    return canvas


def shrink(image: Image) -> Part:
    """All of it, in a quarter of the network's input."""
    height, width = image.shape[:2]
    size = [max(1, round(n * SIDE / 2 / max(height, width))) for n in (width, height)]
    canvas = pad(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
    return canvas, np.zeros(2, np.float32), (np.array(size) / (width, height)).astype(np.float32), np.zeros(4, bool)


def cut(image: Image, smallest: float) -> Iterator[Part]:
    """Parts at the size of the network."""
    height, width = image.shape[:2]
    largest, least = max(height, width), SIDE * smallest / WINDOW  # sides of the largest and smallest part, pixels
    count = max(0, ceil(log(largest / least) / log(STEPS) - 1e-6))
    step = (largest / least) ** (1 / count) if count else 1.0
    for level in range(count + 1):
        shape = [max(1, round(n * SIDE * step**level / largest)) for n in (width, height)]
        shrinks = shape[0] < 0.6 * width
        resized = cv2.resize(image, shape, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        scale = (np.array(shape) / (width, height)).astype(np.float32)
        common = min(SIDE / 2, MARGIN * WINDOW * step)  # what neighbours share: a face that the scale before sees
        for y in starts(shape[1], common):
            for x in starts(shape[0], common):
                canvas = pad(np.asarray(resized[y : y + SIDE, x : x + SIDE], np.uint8))
                inner = np.array([x > 0, y > 0, x + SIDE < shape[0], y + SIDE < shape[1]])
                yield canvas, np.array([x, y], np.float32), scale, inner


def starts(length: int, common: float) -> list[int]:
    """Of the parts of a line, evenly placed."""
    if length <= SIDE:
        return [0]
    count = ceil((length - common) / (SIDE - common))
    return [round(i * (length - SIDE) / (count - 1)) for i in range(count)]


def detect(image: Image, threshold: float) -> tuple[Floats, Floats]:
    """Corners of the box and six keypoints (N, 8, 2), and scores (N,), of all places that see a face.

    Args:
        image: (192, 192, 3).
    """
    images = image[None].astype(np.float32) / 127.5 - 1
    logits, values = tflite.run(MODEL, images, OUTPUTS)
    scores = (1 / (1 + np.exp(-np.clip(logits.ravel(), -80, 80)))).astype(np.float32)
    kept = scores > threshold
    values = values.reshape(-1, 8, 2)[kept]  # centre and size of the box, then keypoints
    points = values + ANCHORS[kept] - 0.5  # their 0 is the edge of the first pixel
    half = values[:, 1] / 2 / DLIB
    points[:, 0], points[:, 1] = points[:, 0] - half, points[:, 0] + half
    return points, scores[kept]


def merge(points: Floats, scores: Floats) -> list[Found]:
    """Faces from places that see the same one: the mean of those, weighted by their scores.

    Args:
        points: (N, 8, 2) corners of the box and six keypoints.
        scores: (N,)
    """
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    low, high = points[:, 0], points[:, 1]
    size = (high - low).clip(0)
    both = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)).clip(0).prod(-1)
    area = size.prod(-1)
    same = both > SAME * (area[:, None] + area - both)
    left, out = area > 0, []
    for i in range(len(points)):
        if left[i]:
            mine = same[i] & left
            left &= ~mine
            mean = np.average(points[mine], axis=0, weights=scores[mine]).astype(np.float32)
            out.append(Found(box=mean[:2].ravel(), score=float(scores[i]), keypoints=mean[2:]))
    return out
