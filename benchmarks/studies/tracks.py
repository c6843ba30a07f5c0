"""Do tracks stay with their person, do boxes jump, and what does it cost?

Staged videos of hidden faces, crossings, cuts and followers, with the truth; then a face at 720p, for the time.
python -m benchmarks.studies.tracks
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.studies import staging
from benchmarks.studies.faces import clips
from datamodules.faces.detection.base import Floats
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.dlib import DlibLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.tracking.track import Track
from datamodules.faces.tracking.tracker import FaceTracker

JUMP = 0.1  # of the side of the box
TRACKERS: dict[str, Callable[..., FaceTracker]] = {
    "HOG, dlib's landmarks": lambda **settings: FaceTracker(HOG(), DlibLandmarks(), **settings),
    "BlazeFace, face mesh": lambda **settings: FaceTracker(BlazeFace(), FaceMesh(), **settings),
}
Scene = tuple[Callable[..., staging.Staged], tuple[Any, ...]]
SCENES: dict[str, list[Scene]] = {
    "one face": [(staging.one_shot, (n, 48, 1011 + n, n)) for n in range(6)],
    "hidden for 0.5 to 1 s": [
        (staging.stage_hidden, one) for one in ((1, 0.5), (4, 0.5, True), (3, 1.0), (1, 1.0, True))
    ],
    "another in the same place": [
        *((staging.stage_replaced, two) for two in ((1, 2), (3, 4), (0, 5))),
        *((staging.follow_each_other, two) for two in ((3, 4), (1, 2), (6, 7))),
    ],
    "crossing": [(staging.stage_crossing, two) for two in ((2, 3), (1, 4), (5, 0), (6, 7))],
    "cut": [(staging.stage_cut, one) for one in ((1, 2, (5, 6)), (3, 3, (7, 8)), (3, 5, (7, 7)))],
}


def jumps(boxes: Sequence[Sequence[Floats]], frames: Sequence[Sequence[int]]) -> float:
    """Share of neighbouring frames between which a side moves by more than a tenth of the box."""
    moved: list[bool] = []
    for mine, numbers in zip(boxes, frames, strict=True):
        for a, b, i, j in zip(mine, mine[1:], numbers, numbers[1:], strict=False):
            if j == i + 1:
                moved.append(bool(np.abs(b - a).max() > JUMP * (a[2:] - a[:2]).max()))
    return round(float(np.mean(moved)), 4) if moved else float("nan")


def truth(staged: Sequence[staging.Staged]) -> float:
    """As ``jumps``, of those who really move so fast."""
    boxes, frames = [], []
    for one in staged:
        for name, points in one.points.items():
            seen = np.flatnonzero(one.share[name] >= staging.SEEN).tolist()
            boxes.append([staging.box_of(points[i]) for i in seen])
            frames.append(seen)
    return jumps(boxes, frames)


def misses(tracks: Sequence[Track]) -> float:
    """Share of the squares with a margin of 1.3 around boxes as they were found that lack a landmark."""
    out = []
    for track in tracks:
        for one in track:
            centre, half = (one.found.box[:2] + one.found.box[2:]) / 2, np.ptp(one.found.box.reshape(2, 2), 0).max() / 2
            out.append(np.abs(one.face.points - centre).max() > 1.3 * half)
    return round(float(np.mean(out)), 4)


def measure(name: str) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for kind, scenes in SCENES.items():
        staged = [scene(*arguments) for scene, arguments in scenes]
        found = [TRACKERS[name]().track(one.frames) for one in staged]
        outcomes = [staging.compare(one, tracks) for one, tracks in zip(staged, found, strict=True)]
        every = [track for tracks in found for track in tracks]
        frames = [track.frames for track in every]
        appear = sum(len(one.points) for one in staged)
        if kind == "cut":  # after it the same person is another track
            appear = sum(len(one.cuts) + 1 for one in staged)
        rows[kind] = {
            "videos": len(staged),
            "frames": sum(len(one.frames) for one in staged),
            "coverage": round(float(np.mean([one.coverage for one in outcomes])), 4),
            "id_switches": sum(one.switches for one in outcomes),
            "fragments": sum(sum(one.tracks.values()) for one in outcomes) - appear,
            "strays": sum(one.strays for one in outcomes),
            "jumps_of_the_truth": truth(staged),
            "jumps_as_found": jumps([[one.found.box for one in track] for track in every], frames),
            "jumps_steady": jumps([track.boxes for track in every], frames),
            "squares_as_found_that_lack_a_landmark": misses(every),
        }
        print(name, kind, rows[kind])
    return rows


def clock(count: int, frames: int) -> dict[str, float]:
    """CPU milliseconds of a 720p frame with one face; the least of several runs."""
    out: dict[str, float] = {}
    for images, _ in clips(170, count, frames):
        there_and_back = images + images[::-1]
        for name, tracker in TRACKERS.items():
            for _ in range(3):
                begin = time.process_time()
                tracker().track(there_and_back)
                spent = 1000 * (time.process_time() - begin) / len(there_and_back)
                out[name] = min(out.get(name, float("inf")), round(spent, 2))
    print(out)
    return out


def tracks(count: int = 1, frames: int = 60) -> None:
    """Measure, print and record.

    Args:
        count: Videos of 720p.
        frames: Number of frames of each, then backwards.
    """
    cv2.setNumThreads(1)
    result: dict[str, Any] = {"cpu_ms_per_frame_720p": clock(count, frames)}
    result |= {name: measure(name) for name in TRACKERS}
    print(record("tracks", result))


if __name__ == "__main__":
    auto_cli(tracks, as_positional=False)
