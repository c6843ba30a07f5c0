"""How near the points of each model are to the true ones, and how steady boxes and points are in a video."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.studies.face_conditions import Case, box_of, conditions, is_hit, known_face, london, measure_cost, show
from datamodules.faces.detection.base import FaceDetector, Floats, Found, Image
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.base import Landmarks
from datamodules.faces.landmarks.dlib import DlibLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.runtime.errors import UserError
from datamodules.studio.build import Plan
from datamodules.studio.portrait import make_portrait
from datamodules.studio.scene import shoot
from datamodules.studio.shot import direct

JUMP = 0.1  # of the box, by which no side should move from one frame to the next
OPENINGS = {"eyes": ((37, 41), (38, 40), (43, 47), (44, 46)), "lips": ((61, 67), (62, 66), (63, 65))}
SIZES_AND_LICENCES = {
    "dlib 68 points": ("99.7 MB", "not for commercial use"),
    "dlib 5 points": ("9.2 MB", "CC0"),
    "face mesh": ("2.4 MB", "Apache-2.0"),
    "face mesh and eyes": ("5.1 MB", "Apache-2.0"),
}
FIVE = [45, 42, 36, 39, 33]  # what dlib's 5 points are among the 68


def find_packaged(name: str) -> Path:
    package = find_spec("face_recognition_models")
    if package is None or not package.submodule_search_locations:
        raise UserError("no models of dlib: pip install -e '.[landmarks]' in the clone")
    return Path(package.submodule_search_locations[0]) / "models" / name


def differ(points: Floats, exact: Floats) -> Floats:
    across = np.linalg.norm(exact[45] - exact[36])
    return (np.linalg.norm(points - exact, axis=1) / across).astype(np.float32)


def fit_points(models: dict[str, Landmarks], cases: list[Case]) -> dict[str, dict[str, dict[str, float]]]:
    """Each in the true box; the mesh knows the roll where BlazeFace found the face."""
    errors: dict[str, dict[str, list[Floats]]] = {}
    presence: dict[str, list[float]] = {}
    for case in (case for case in cases if case.points is not None):
        assert case.points is not None
        hits = [one for one in BlazeFace().find(case.image, min(38, 0.9 * case.side)) if is_hit(one, case)]
        found = Found(box=case.box, score=1, keypoints=hits[0].keypoints if hits else None)
        row = errors.setdefault(case.condition, {})
        for name, model in models.items():
            fitted = model.fit(case.image, found)
            row.setdefault(name, []).append(differ(fitted.points, case.points))
            if fitted.mesh is not None:
                presence.setdefault(case.condition, []).append(fitted.presence)
                row.setdefault(f"{name}, five of them", []).append(differ(fitted.points, case.points)[FIVE])
        exact = case.points.copy()
        exact[FIVE] = fit_five(case.image, case.box)
        row.setdefault("dlib, 5 points", []).append(differ(exact, case.points)[FIVE])
    out = {}
    for condition, row in errors.items():
        out[condition] = {name: quartiles(np.stack(rows)) for name, rows in row.items()}
        out[condition]["presence of the mesh"] = {"median": round(float(np.median(presence[condition])), 3)}
    return out


def quartiles(errors: Floats) -> dict[str, float]:
    return {"median": round(float(np.median(errors)), 4), "p95": round(float(np.percentile(errors, 95)), 4)}


@functools.cache
def five_points() -> Any:
    import dlib

    return dlib.shape_predictor(str(find_packaged("shape_predictor_5_face_landmarks.dat")))


def fit_five(image: Image, box: Floats) -> Floats:
    import dlib

    corners = dlib.rectangle(*(int(v) for v in np.rint(box)))
    return np.array([[p.x, p.y] for p in five_points()(np.ascontiguousarray(image), corners).parts()], np.float32)


def videos(count: int, frames: int) -> Iterator[tuple[list[Image], Floats]]:
    people = Plan(size="tiny", seed=0, difficulty=0.3).cast()["test"]
    for i in range(count):
        shot = direct(np.random.default_rng([78, i]), 400, 340, frames)
        images, points = zip(*shoot(make_portrait(people[i % len(people)]), shot), strict=True)
        yield list(images), np.stack(points)


@dataclass
class Followed:
    """One way to go from frame to frame."""

    boxes: list[Floats] = field(default_factory=list)
    points: list[Floats] = field(default_factory=list)
    seconds: float = 0.0


def ways() -> dict[str, tuple[FaceDetector, Landmarks, bool]]:
    """Detector, landmarks, and whether the mesh alone goes from frame to frame."""
    mesh, eyes = FaceMesh(), FaceMesh(eyes=True)
    return {
        "dlib HOG, dlib 68 points": (HOG(), DlibLandmarks(), False),
        "BlazeFace, dlib 68 points": (BlazeFace(), DlibLandmarks(), False),
        "BlazeFace, face mesh": (BlazeFace(), mesh, False),
        "face mesh alone, box of its points": (BlazeFace(), mesh, True),
        "face mesh and eyes alone, box of its points": (BlazeFace(), eyes, True),
    }


def follow(images: list[Image], detector: FaceDetector, model: Landmarks, alone: bool) -> Followed:
    out, last, face = Followed(), None, None
    for image in images:
        start = time.process_time()
        if face is None or not alone:
            last = detector.follow(image, last) if last is not None else detector.find(image, 60)[0]
            assert last is not None
            face = model.fit(image, last)
            box = last.box
        else:
            face = model.follow(image, face)
            assert face is not None
        box = box_of(face.points) if alone else box
        out.seconds += time.process_time() - start
        out.boxes.append(box)
        out.points.append(face.points)
    return out


def measure_opening(points: Floats, pairs: tuple[tuple[int, int], ...]) -> Floats:
    """(T,) of (T, 68, 2): how far upper and lower points are apart, over the outer corners of the eyes."""
    above, below = np.array(pairs).T
    across = np.linalg.norm(points[:, 45] - points[:, 36], axis=1)
    return np.asarray(np.linalg.norm(points[:, above] - points[:, below], axis=2).mean(1) / across, np.float32)


def steadiness(count: int, frames: int) -> dict[str, dict[str, float]]:
    jumps: dict[str, list[float]] = {}
    errors: dict[str, list[Floats]] = {}
    motion: dict[str, list[float]] = {}
    spent: dict[str, float] = {}
    openings: dict[str, dict[str, list[Floats]]] = {}
    for images, exact in videos(count, frames):
        for name, (detector, model, alone) in ways().items():
            followed = follow(images, detector, model, alone)
            boxes, off = np.stack(followed.boxes), np.stack(followed.points) - exact
            across = np.linalg.norm(exact[:, 45] - exact[:, 36], axis=1).mean()
            side = (boxes[:-1, 2] - boxes[:-1, 0])[:, None]
            jumps.setdefault(name, []).extend((np.abs(np.diff(boxes, axis=0)) / side).max(1))
            errors.setdefault(name, []).extend(np.linalg.norm(off, axis=2) / across)
            motion.setdefault(name, []).append(float(np.median(np.linalg.norm(np.diff(off, axis=0), axis=2)) / across))
            for part, pairs in OPENINGS.items():
                both = np.stack([measure_opening(p, pairs) for p in (exact, np.stack(followed.points))])
                openings.setdefault(name, {}).setdefault(part, []).append(both - both.mean(1, keepdims=True))
            spent[name] = spent.get(name, 0.0) + followed.seconds
    return {
        name: {
            "share_of_jumps": round(float((np.array(jumps[name]) > JUMP).mean()), 3),
            "median_move_of_a_side": round(float(np.median(jumps[name])), 4),
            **{f"points_{key}": value for key, value in quartiles(np.stack(errors[name])).items()},
            "points_wrong_motion": round(float(np.mean(motion[name])), 4),
            **{
                f"correlation_of_open_{part}": round(float(np.asarray(np.corrcoef(np.concatenate(both, 1)))[0, 1]), 3)
                for part, both in openings[name].items()
            },
            "cpu_ms_per_frame": round(1000 * spent[name] / (count * frames), 1),
        }
        for name in jumps
    }


def costs(cases: list[Case], models: dict[str, Landmarks]) -> dict[str, float]:
    """CPU milliseconds a face."""
    frame, known = known_face(cases)
    out = {name: measure_cost(functools.partial(model.fit, frame, known), 20) for name, model in models.items()}
    face = FaceMesh().fit(frame, known)
    return out | {"face mesh, followed": measure_cost(lambda: FaceMesh().follow(frame, face), 20)}


def benchmark(count: int = 24, clips: int = 4, frames: int = 40) -> None:
    """Measure, print and record.

    Args:
        count: People of London.
        clips: Videos of the studio.
        frames: Number of frames of each of them.
    """
    cv2.setNumThreads(1)
    cases = [case for portrait in london(count) for case in conditions(portrait)]
    models: dict[str, Landmarks] = {
        "dlib 68 points": DlibLandmarks(),
        "face mesh": FaceMesh(),
        "face mesh and eyes": FaceMesh(eyes=True),
    }
    result: dict[str, Any] = {"size_and_licence": SIZES_AND_LICENCES, "cpu_ms": costs(cases, models)}
    print(result["cpu_ms"])
    result["studio"] = steadiness(clips, frames)
    names = list(next(iter(result["studio"].values())))
    print(
        show("studio", {name: {way: {"": row[name]} for way, row in result["studio"].items()} for name in names}, ("",))
    )
    result["landmarks"] = fit_points(models, cases)
    print(show("error, median / 95th percentile", result["landmarks"], ("median", "p95")))
    print(record("face_landmarks", result))


if __name__ == "__main__":
    auto_cli(benchmark, as_positional=False)
