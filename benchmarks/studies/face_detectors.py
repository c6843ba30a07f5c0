"""Which detector finds faces as photographs get harder, and what does each cost?

Photographs of one face (London, and portraits), placed at a size, turned, blurred, dark or half covered; photographs of
several faces as they are. How steady boxes are in videos is in benchmarks/studies/face_landmarks.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.studies.face_conditions import (
    Case,
    conditions,
    is_hit,
    known_face,
    london,
    measure_cost,
    portraits,
    show,
)
from benchmarks.studies.face_landmarks import find_packaged
from benchmarks.studies.faces import count_matches, read_annotated
from datamodules.faces.detection.base import FaceDetector, Found, Image, find_same
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG

CNN_WINDOW = 80  # side of the smallest face that dlib's CNN sees


class CNN(FaceDetector):
    """dlib's max-margin network; on a CPU for comparison alone."""

    def __init__(self, path: Path) -> None:
        import dlib

        self.net = dlib.cnn_face_detection_model_v1(str(path))

    def find(self, image: Image, smallest: float) -> list[Found]:
        factor = CNN_WINDOW / smallest
        rectangles = self.net(np.ascontiguousarray(cv2.resize(image, None, fx=factor, fy=factor)), 0)
        corners = [(r.rect.left(), r.rect.top(), r.rect.right() + 1, r.rect.bottom() + 1) for r in rectangles]
        return [
            Found(box=(np.array(c, np.float32) / factor - 0.5), score=r.confidence)
            for c, r in zip(corners, rectangles, strict=True)
        ]

    def follow(self, image: Image, last: Found) -> Found | None:
        return find_same(self.find(image, float(last.box[2] - last.box[0]) / 1.5), last.box)


@dataclass
class Count:
    """Of one detector under one condition."""

    faces: int = 0
    found: int = 0
    wrong: int = 0
    images: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, float]:
        return {
            "faces": self.faces,
            "recall": round(self.found / self.faces, 3),
            "false_per_image": round(self.wrong / self.images, 3),
            "cpu_ms_per_image": round(1000 * self.seconds / self.images, 1),
        }


def search(detectors: dict[str, FaceDetector], cases: list[Case], few: int) -> dict[str, dict[str, dict[str, float]]]:
    """By condition and detector; the slow CNN sees every ``few``-th face."""
    counts: dict[str, dict[str, Count]] = {}
    seen: dict[str, int] = {}
    for case in cases:
        number = seen[case.condition] = seen.get(case.condition, -1) + 1
        for name, detector in detectors.items():
            if isinstance(detector, CNN) and number % few:
                continue
            count = counts.setdefault(case.condition, {}).setdefault(name, Count())
            start = time.process_time()
            found = detector.find(case.image, least_size(detector, case.side))
            count.seconds += time.process_time() - start
            hits = sum(is_hit(one, case) for one in found)
            count.faces, count.images = count.faces + 1, count.images + 1
            count.found, count.wrong = count.found + (hits > 0), count.wrong + len(found) - (hits > 0)
    return {condition: {name: one.summary() for name, one in row.items()} for condition, row in counts.items()}


def measure_unchanged(detectors: dict[str, FaceDetector], folder: Path) -> dict[str, dict[str, float]]:
    out = {}
    for name, detector in detectors.items():
        count = Count()
        for image, exact in read_annotated(folder):
            start = time.process_time()
            found = detector.find(image, 38)
            count.seconds += time.process_time() - start
            hits, wrong = count_matches([one.box for one in found], exact)
            count.faces, count.images = count.faces + len(exact), count.images + 1
            count.found, count.wrong = count.found + hits, count.wrong + wrong
        out[name] = count.summary()
    return out


def costs(cases: list[Case]) -> dict[str, float]:
    """CPU milliseconds; a frame is of 1280 x 720."""
    frame, known = known_face(cases)
    calls: dict[str, Callable[[], Any]] = {}
    for name, detector in (("dlib HOG", HOG()), ("BlazeFace", BlazeFace())):
        for smallest in (38, 46, 80):
            calls[f"{name}, a frame, faces from {smallest} px"] = partial(detector.find, frame, smallest)
        calls[f"{name}, a known face"] = partial(detector.follow, frame, known)
    return {name: measure_cost(call, 3 if "a frame" in name else 20) for name, call in calls.items()}


def least_size(detector: FaceDetector, side: float) -> float:
    """What is searched for: what all videos are searched for; the slow CNN is told a little."""
    return 0.7 * side if isinstance(detector, CNN) else min(38, 0.9 * side)


SIZES_AND_LICENCES = {
    "dlib HOG": ("in dlib", "Boost"),
    "dlib CNN": ("0.7 MB", "CC0"),
    "BlazeFace": ("1.1 MB", "Apache-2.0"),
}


def benchmark(
    congress: Path | None = None,
    photos: Path | None = None,
    count: int = 24,
    few: int = 6,
) -> None:
    """Measure, print and record.

    Args:
        congress: Folder of portraits.
        photos: Folder with photographs of several faces and dlib's training.xml and testing.xml.
        count: People of London, and portraits.
        few: The slow CNN sees one of so many.
    """
    cv2.setNumThreads(1)
    faces = [*london(count), *(portraits(congress, count) if congress else ())]
    cases = [case for portrait in faces for case in conditions(portrait)]
    detectors = {
        "dlib HOG": HOG(),
        "dlib CNN": CNN(find_packaged("mmod_human_face_detector.dat")),
        "BlazeFace": BlazeFace(),
    }
    result: dict[str, Any] = {"size_and_licence": SIZES_AND_LICENCES, "cpu_ms": costs(cases)}
    print(result["cpu_ms"])
    if photos:
        result["photographs"] = measure_unchanged({"dlib HOG": HOG(), "BlazeFace": BlazeFace()}, photos)
        print(
            show("photographs as they are: recall / false", {"": result["photographs"]}, ("recall", "false_per_image"))
        )
    result["detection"] = search(detectors, cases, few)
    print(show("recall / false boxes an image", result["detection"], ("recall", "false_per_image")))
    print(record("face_detectors", result))


if __name__ == "__main__":
    auto_cli(benchmark, as_positional=False)
