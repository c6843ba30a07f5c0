"""Does tracking find as many faces as dlib's HOG, up-sampled once, on every frame, and what does each cost?

The reference is the usual recipe of the field. Images are the studio's, at 720p and several face sizes, and
photographs.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jsonargparse import auto_cli

from benchmarks.record import record
from datamodules.faces.detection.base import Floats, overlap
from datamodules.faces.detection.hog import HOG, hog
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.studio.build import Plan
from datamodules.studio.portrait import make_portrait
from datamodules.studio.scene import shoot
from datamodules.studio.shot import direct

STUDIO = Plan(size="tiny", seed=0, difficulty=0.3)
BOX_OVER_RADIUS = 1.88  # dlib's box over the half width of a studio face, measured


def clips(size: int, count: int, frames: int) -> Iterator[tuple[list[np.ndarray], list[Floats]]]:
    """720p videos of one face whose dlib box is about ``size`` pixels, with the exact landmarks."""
    people = STUDIO.cast()["test"]
    for i in range(count):
        rng = np.random.default_rng([size, i])
        radius = size / BOX_OVER_RADIUS
        margin = 2 * radius + 20
        centre = (rng.uniform(margin, 1280 - margin), rng.uniform(min(margin, 359), max(720 - margin, 361)))
        shot = direct(rng, 1280, 720, frames, radius, centre)
        images, points = zip(*shoot(make_portrait(people[i % len(people)]), shot), strict=True)
        yield list(images), list(points)


def box_around(points: Floats) -> Floats:
    """What dlib would box: brows to chin, as wide as high."""
    inner = points[17:]
    centre, side = inner.mean(0), 0.9 * np.ptp(points[:17, 0])
    return np.concatenate([centre - side / 2, centre + side / 2]).astype(np.float32)


def detect_usual(image: np.ndarray) -> list[Floats]:
    boxes, _, _ = hog().run(image, 1, 0.0)
    return [np.array([b.left(), b.top(), b.right(), b.bottom()], np.float32) for b in boxes]


def studio(sizes: list[int], count: int, frames: int) -> list[dict[str, float]]:
    tracker = FaceTracker()
    rows = []
    for size in sizes:
        totals = {"frames": 0, "usual_found": 0, "tracked_found": 0, "usual_false": 0, "tracked_false": 0}
        usual_s = tracked_s = 0.0
        error: list[float] = []
        for images, points in clips(size, count, frames):
            exact = [box_around(p) for p in points]
            start = time.process_time()
            tracks = tracker.track(images)
            tracked_s += time.process_time() - start
            start = time.process_time()
            boxes = [detect_usual(image) for image in images]
            usual_s += time.process_time() - start
            totals["frames"] += len(images)
            ours: list[list[Floats]] = [[] for _ in images]
            for track in tracks:
                for i, box, found in zip(track.frames, track.boxes, track.landmarks, strict=True):
                    ours[i].append(box)
                    if overlap(box, exact[i]) > 0.3:
                        error.append(
                            float(np.linalg.norm(found - points[i], axis=1).mean() / np.ptp(points[i][:17, 0]))
                        )
            for name, all_boxes in (("usual", boxes), ("tracked", ours)):
                hits = [[overlap(box, e) > 0.3 for box in frame] for frame, e in zip(all_boxes, exact, strict=True)]
                totals[f"{name}_found"] += sum(any(h) for h in hits)
                totals[f"{name}_false"] += sum(len(h) - any(h) for h in hits)
        n = totals["frames"]
        row = {
            "face_px": size,
            "frames": n,
            "usual_recall": totals["usual_found"] / n,
            "tracked_recall": totals["tracked_found"] / n,
            "usual_false": totals["usual_false"],
            "tracked_false": totals["tracked_false"],
            "usual_cpu_ms": round(1000 * usual_s / n, 1),
            "tracked_cpu_ms": round(1000 * tracked_s / n, 1),
            "times_fewer": round(usual_s / tracked_s, 1),
            "landmark_error_of_face_width": round(float(np.mean(error)), 4) if error else float("nan"),
        }
        print(row)
        rows.append(row)
    return rows


def read_annotated(folder: Path) -> Iterator[tuple[np.ndarray, list[Floats]]]:
    """Photographs, RGB, with the boxes of their faces from dlib's lists."""
    for listing in ("training.xml", "testing.xml"):
        for image in ET.parse(folder / listing).getroot().iter("image"):
            exact = []
            for b in image.iter("box"):
                left, top, w, h = (float(b.get(k) or 0) for k in ("left", "top", "width", "height"))
                exact.append(np.array([left, top, left + w, top + h], np.float32))
            yield cv2.cvtColor(cv2.imread(str(folder / str(image.get("file")))), cv2.COLOR_BGR2RGB), exact


def count_matches(boxes: list[Floats], exact: list[Floats]) -> tuple[int, int]:
    """How many faces were found, and how many boxes are none."""
    found = sum(max((overlap(b, e) for b in boxes), default=0) > 0.4 for e in exact)
    return found, sum(max((overlap(b, e) for e in exact), default=0) < 0.3 for b in boxes)


def photographs(folder: Path) -> dict[str, int]:
    totals = {"faces": 0, "usual_found": 0, "found": 0, "usual_false": 0, "false": 0}
    for image, exact in read_annotated(folder):
        ours = [f.box for f in HOG().find(image, 38.0)]
        totals["faces"] += len(exact)
        for prefix, boxes in (("usual_", detect_usual(image)), ("", ours)):
            found, wrong = count_matches(boxes, exact)
            totals[f"{prefix}found"] += found
            totals[f"{prefix}false"] += wrong
    return totals


def faces(photos: Path | None = None, count: int = 3, frames: int = 50) -> None:
    """Measure, print and record.

    Args:
        photos: Folder with photographs and dlib's training.xml and testing.xml.
        count: Videos per face size.
        frames: Frames per video.
    """
    cv2.setNumThreads(1)
    result: dict[str, object] = {"studio_720p": studio([40, 50, 64, 90, 140, 240], count, frames)}
    if photos:
        result["photographs"] = photographs(photos)
        print(result["photographs"])
    print(record("faces", result))


if __name__ == "__main__":
    auto_cli(faces, as_positional=False)
