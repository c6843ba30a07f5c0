"""Fits the table from the 468 points of the face mesh to the 68, and the mean face; how far off are the 68?

Truth: the points of London (neutral ones placed by hand) and the studio's own. On faces as they come dlib's labels are
compared, not fitted: of a turned face they follow the outline. Errors are of people that the table was not fitted on,
over the distance between the outer corners of the eyes.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, nnls

from benchmarks.record import record
from datamodules.faces.detection.base import Found, Image, overlap
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.landmarks import mesh_points
from datamodules.faces.landmarks.face_mesh import EYES, FaceMesh
from datamodules.faces.landmarks.points import MIRROR as MIRRORED
from datamodules.faces.tflite import MODELS
from datamodules.media.image import decode
from datamodules.studio.build import Plan
from datamodules.studio.people import read_people
from datamodules.studio.portrait import make_portrait
from datamodules.studio.scene import shoot
from datamodules.studio.shot import direct, thin

Array = NDArray[np.floating[Any]]
FOLDS = 5
LABELLED = "photographs that dlib labelled"
CANDIDATES, KEPT, LEAST = 14, 3, 0.03  # vertices near a point, those that stay, and the least weight of one
MIRROR = np.array([-1, 1])
PARTS = {"jaw": (0, 17), "brows": (17, 27), "nose": (27, 36), "eyes": (36, 48), "lips": (48, 68)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """One face, moved so that its eyes are level and their outer corners 1 apart."""

    source: str
    person: str
    mesh: Array  # (468, 3)
    eyes: Array  # (468, 2), with the eye contours looked at once more
    points: Array  # (68, 2), the truth


def collect(source: str, person: str, image: Image, found: Found, points: Array) -> Seen:
    face = FaceMesh().fit(image, found)
    mesh, again = face.mesh, FaceMesh(eyes=True).follow(image, face)
    assert mesh is not None
    assert again is not None
    assert again.mesh is not None
    right, left = mesh[EYES, :2]
    size = float(np.linalg.norm(left - right))
    cos, sin = (left - right) / size
    turn, middle = np.array([[cos, -sin], [sin, cos]]), (left + right) / 2
    level = np.column_stack([(mesh[:, :2] - middle) @ turn, mesh[:, 2] - mesh[EYES, 2].mean()]) / size
    eyes = (again.mesh[:, :2] - middle) @ turn / size
    return Seen(source=source, person=person, mesh=level, eyes=eyes, points=(points - middle) @ turn / size)


def london() -> Iterator[Seen]:
    for person in read_people():
        for name, photograph in (("neutral", person.neutral), ("smiling", person.smiling)):
            assert photograph is not None
            image = photograph.read()
            yield collect(f"London, {name}", person.id, image, BlazeFace().find(image, 100)[0], photograph.points)


def studio(people: int, frames: int) -> Iterator[Seen]:
    everybody = [person for cast in Plan(size="small", seed=0, difficulty=0.3).cast().values() for person in cast]
    for i, person in enumerate(sorted(everybody, key=lambda person: person.id)[:people]):
        shot = thin(direct(np.random.default_rng([77, i]), 360, 320, 12 * frames), 12)
        for image, points in shoot(make_portrait(person), shot):
            for found in BlazeFace().find(image, 60)[:1]:
                yield collect("studio", person.id, image, found, points)


def photographs(folder: Path) -> Iterator[Seen]:
    for listing in ("training_with_face_landmarks.xml", "testing_with_face_landmarks.xml"):
        for one in ET.parse(folder / listing).getroot().iter("image"):
            name = str(one.get("file"))
            image = decode((folder / name).read_bytes())
            faces = BlazeFace().find(image, 30)
            for number, box in enumerate(one.iter("box")):
                left, top, width, height = (float(box.get(key) or 0) for key in ("left", "top", "width", "height"))
                points = [[float(part.get("x") or 0), float(part.get("y") or 0)] for part in box.iter("part")]
                where = np.array([left, top, left + width, top + height], np.float32)
                best = max(faces, key=lambda found: overlap(found.box, where), default=None)
                if best is not None and overlap(best.box, where) > 0.4 and len(points) == 68:
                    yield collect(LABELLED, f"{name} {number}", image, best, np.array(points))


def pair_vertices(seen: Sequence[Seen]) -> NDArray[np.int64]:
    """(468,), the vertex that each becomes in a mirror."""
    mean = np.mean([one.mesh for one in seen], 0)
    cost = np.linalg.norm(mean[None] - (mean * [-1, 1, 1])[:, None], axis=2)
    return np.asarray(linear_sum_assignment(cost + cost.T)[1])


def fit(seen: Sequence[Seen], pairs: NDArray[np.int64], eyes: bool = False) -> Array:
    """(68, 468) weights, none below zero, the same on both sides; each source counts as much as the others."""
    sources = [one.source for one in seen]
    share = np.array([1 / np.sqrt(sources.count(source)) for source in sources])
    mesh = np.stack([one.eyes if eyes else one.mesh[:, :2] for one in seen])
    points = np.stack([one.points for one in seen])
    out = np.zeros((68, 468))
    for i, j in enumerate(MIRRORED):
        if j < i:
            continue
        vertices = np.concatenate([mesh, mesh[:, pairs] * MIRROR]) * np.tile(share, 2)[:, None, None]
        exact = np.concatenate([points[:, i], points[:, j] * MIRROR]) * np.tile(share, 2)[:, None]
        near = np.linalg.norm((vertices - exact[:, None]).mean(0), axis=1).argsort()[:CANDIDATES]
        for keep in (2 * KEPT, KEPT, KEPT):
            near = np.union1d(near, pairs[near]) if i == j else near
            terms = vertices[:, near].transpose(0, 2, 1).reshape(-1, len(near))
            one = 100 * np.ones((1, len(near)))  # the weights sum to one
            weights, _ = nnls(np.concatenate([terms, one]), np.append(exact.ravel(), 100))
            if i == j:
                weights = (weights + weights[np.searchsorted(near, pairs[near])]) / 2
            last = near, weights / weights.sum()
            near = near[[k for k in weights.argsort()[::-1][: keep + (i == j)] if weights[k] > LEAST]]
        out[i, last[0]] = last[1]
        out[j, pairs[last[0]]] = last[1]
    return out


def differ(table: Array, seen: Sequence[Seen], eyes: bool = False) -> Array:
    """(N, 68) distances."""
    return np.stack(
        [
            np.linalg.norm(table @ (one.eyes if eyes else one.mesh[:, :2]) - one.points, axis=1)
            / np.linalg.norm(one.points[45] - one.points[36])
            for one in seen
        ]
    )


def summarize(errors: Array) -> dict[str, float]:
    out = {"faces": len(errors), "median": float(np.median(errors)), "p95": float(np.percentile(errors, 95))}
    out |= {name: float(np.median(errors[:, start:end])) for name, (start, end) in PARTS.items()}
    return {name: round(value, 4) for name, value in out.items()}


def write_table(table: Array, opening: str) -> None:
    """
    Args:
        opening: Text in the source after which the table begins.
    """
    lines = []
    for row in table:
        order = [v for v in row.argsort(kind="stable")[::-1] if row[v] > 0]
        weights = row[order].round(3)
        weights[0] += 1 - weights.sum()
        lines.append(" ".join(f"{vertex}:{weight:.3f}" for vertex, weight in zip(order, weights, strict=True)))
    path = Path(mesh_points.__file__)
    text = path.read_text()
    start = text.index(opening) + len(opening)
    path.write_text(text[:start] + "\n".join(lines) + text[text.index('\n"""', start) :])


def benchmark(photos: Path | None = None, people: int = 102, frames: int = 8, write: bool = False) -> None:
    """Fit, measure, print and record.

    Args:
        photos: Folder with photographs and dlib's lists of their points.
        people: Number of people of the studio.
        frames: Number of frames of each of them.
        write: Put the table and the mean face into the package.
    """
    cv2.setNumThreads(1)
    seen = [*london(), *studio(people, frames), *(photographs(photos) if photos else ())]
    pairs = pair_vertices([one for one in seen if one.source.startswith("London")])
    names = sorted({one.person for one in seen})
    fold = {name: i % FOLDS for i, name in enumerate(names)}
    errors: dict[str, list[Array]] = {}
    again: dict[str, list[Array]] = {}
    for k in range(FOLDS):
        known = [one for one in seen if fold[one.person] != k and one.source != LABELLED]
        table, of_eyes = fit(known, pairs), fit(known, pairs, eyes=True)
        for one in seen:
            if fold[one.person] == k:
                errors.setdefault(one.source, []).append(differ(table, [one])[0])
                again.setdefault(one.source, []).append(differ(of_eyes, [one], eyes=True)[0])
    result = {source: summarize(np.stack(rows)) for source, rows in errors.items()}
    for source, rows in again.items():
        result[source]["eyes, looked at once more"] = summarize(np.stack(rows))["eyes"]
    print(*(f"{source}: {row}" for source, row in result.items()), sep="\n")
    known = [one for one in seen if one.source != LABELLED]
    table, of_eyes = fit(known, pairs), fit(known, pairs, eyes=True)[36:48]
    print(f"largest change of a weight: {np.abs(table - mesh_points.WEIGHTS).max():.3f}")
    if write:
        write_table(table, '\nTABLE = """\n')
        write_table(of_eyes, '\nTABLE_OF_EYES = """\n')
        mean = np.mean([one.mesh for one in seen if one.source == "London, neutral"], 0)
        np.save(MODELS / "mean_face.npy", ((mean + mean[pairs] * [-1, 1, 1]) / 2).astype(np.float32))
    print(record("face_mesh", result))


if __name__ == "__main__":
    auto_cli(benchmark, as_positional=False)
