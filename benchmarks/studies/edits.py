"""Edits of photographs as an editor makes them, with OpenCV and not with what detectors are trained on here: parts and
whole faces of others cloned in without a seam, parts warped, skin smoothed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.record import round_interval
from datamodules.degradation.operations import Jpeg, Resize, Step
from datamodules.face_data import FaceData
from datamodules.faces.landmarks.points import EYES, JAW, LEFT_BROW, LEFT_EYE, MOUTH, NOSE, RIGHT_BROW, RIGHT_EYE
from lightning_modules.metrics.bootstrap import Videos, auroc_interval, resample
from suite.pretrained import Detector, FaceScore

Image = NDArray[np.uint8]
Points = NDArray[np.float32]
PARTS = {"eyes": [*LEFT_BROW, *RIGHT_BROW, *EYES], "nose": [*NOSE], "mouth": [*MOUTH], "whole face": [*range(68)]}
QUALITIES: dict[str, list[Step]] = {
    "JPEG 90": [Jpeg(90)],
    "half the size, JPEG 75": [Resize(0.5, back=False), Jpeg(75)],
}


@dataclass(frozen=True)
class CroppedFace:
    person: str
    pixels: Image
    points: Points  # (68, 2)


def faces_of(prepared: Path) -> list[CroppedFace]:
    """The real ones of the test split."""
    data = FaceData(prepared=prepared, image_size=256, eval_clips=1, num_workers=0)
    out = []
    for batch in data.test_dataloader():
        pixels = batch.frames[:, 0].permute(0, 2, 3, 1).numpy()
        is_usable = batch.has_landmarks & (batch.label == 0)
        rows = zip(batch.people, pixels, batch.landmarks[:, 0].numpy(), is_usable, strict=True)
        out += [CroppedFace(person, image, points) for person, image, points, is_shown in rows if is_shown]
    return out


def hull(points: Points, size: tuple[int, int], growth: float) -> Image:
    """255 within the convex hull of points that were moved away from their centre."""
    centre, mask = points.mean(0), np.zeros(size, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull((centre + growth * (points - centre)).astype(np.int32)), 255)
    return mask


def clone(face: CroppedFace, other: CroppedFace, part: str) -> tuple[Image, Image] | None:
    """The part of another, laid on by its landmarks; nothing where it reaches the border."""
    chosen = PARTS[part]
    move, _ = cv2.estimateAffinePartial2D(other.points[chosen], face.points[chosen], method=cv2.LMEDS)
    h, w = size = face.pixels.shape[:2]
    laid = cv2.warpAffine(other.pixels, move, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    mask = hull(face.points[chosen], size, 1.0 if part == "whole face" else 1.3)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows) or min(rows[0], columns[0]) < 2 or rows[-1] > h - 3 or columns[-1] > w - 3:
        return None
    middle = (int(columns[0] + columns[-1]) // 2, int(rows[0] + rows[-1]) // 2)
    # OpenCV writes to the mask that it is given
    return cv2.seamlessClone(laid, face.pixels, mask.copy(), middle, cv2.NORMAL_CLONE), mask


def warp(face: CroppedFace, rng: np.random.Generator) -> tuple[Image, Image]:
    """A part made larger or smaller."""
    points = face.points[PARTS[str(rng.choice(["eyes", "nose", "mouth"]))]]
    x, y = points.mean(0)
    radius = 0.75 * float(np.ptp(points, 0).max())
    amount = rng.choice([-1, 1]) * rng.uniform(0.2, 0.35)
    row, column = np.mgrid[: face.pixels.shape[0], : face.pixels.shape[1]].astype(np.float32)
    distance = np.hypot(column - x, row - y) / radius
    factor = 1 - amount * np.clip(1 - distance**2, 0, None) ** 2
    across, down = (
        (middle + (place - middle) * factor).astype(np.float32) for middle, place in ((x, column), (y, row))
    )
    return cv2.remap(face.pixels, across, down, cv2.INTER_CUBIC), (255 * (distance < 1)).astype(np.uint8)


def smooth(face: CroppedFace) -> tuple[Image, Image]:
    """The skin between brows and chin made soft, eyes and mouth left."""
    size = face.pixels.shape[:2]
    mask = hull(face.points[[*JAW, *LEFT_BROW, *RIGHT_BROW]], size, 0.95)
    for part in (LEFT_EYE, RIGHT_EYE, MOUTH):
        mask[hull(face.points[[*part]], size, 1.3) > 0] = 0
    share = cv2.GaussianBlur(mask, (15, 15), 4)[..., None] / 255
    soft = cv2.bilateralFilter(face.pixels, 9, 40, 7)
    return (face.pixels * (1 - share) + soft * share).round().astype(np.uint8), mask


def edits_of(faces: list[CroppedFace], seed: int) -> Iterator[tuple[str, CroppedFace, Image, Image]]:
    """Name of the edit, the face, what it became, and where."""
    rng = np.random.default_rng(seed)
    for face in faces:
        others = [one for one in faces if one.person != face.person]
        other = others[int(rng.integers(len(others)))]
        made = {f"{part} of another": clone(face, other, part) for part in PARTS}
        made |= {"a part warped": warp(face, rng), "skin smoothed": smooth(face)}
        yield from ((name, face, *edit) for name, edit in made.items() if edit is not None)


def judge(detector: Detector, images: list[Image], steps: list[Step]) -> list[FaceScore]:
    """After these steps."""
    rng, out = np.random.default_rng(0), []
    for image in images:
        for step in steps:
            image = step(image, rng)
        out.append(image)
    return detector.score(np.stack(out), are_crops=True)


def pixel_auroc(found: list[FaceScore], masks: list[Image]) -> float:
    """Of what was edited against the rest of the same faces."""
    from sklearn.metrics import roc_auc_score

    maps = np.stack([one.map for one in found if one.map is not None])
    edited = np.stack([cv2.resize(mask, maps.shape[:0:-1], interpolation=cv2.INTER_AREA) for mask in masks]) > 127
    return float(roc_auc_score(edited.ravel(), maps.ravel()))


def measure_edits(detector: Detector, prepared: Path, seed: int = 0) -> dict[str, Any]:
    """AUROC of each edit against the unedited faces with its interval over people, verdicts, and the map's AUROC."""
    faces = faces_of(prepared)
    made = [*edits_of(faces, seed)]
    out: dict[str, Any] = {"faces": len(faces), "people": len({face.person for face in faces})}
    for title, steps in QUALITIES.items():
        real = judge(detector, [face.pixels for face in faces], steps)
        edits: dict[str, Any] = {}
        out[title] = {"verdicts_on_unedited": dict(Counter(one.verdict for one in real)), "edits": edits}
        for name in dict.fromkeys(row[0] for row in made):
            mine = [row for row in made if row[0] == name]
            found = judge(detector, [image for _, _, image, _ in mine], steps)
            v = Videos(
                score=np.array([one.probability for one in [*real, *found]]),
                label=np.repeat([0, 1], [len(real), len(found)]),
                method=np.array([""] * len(real) + [name] * len(found)),
                person=np.array([face.person for face in faces] + [face.person for _, face, _, _ in mine]),
            )
            edits[name] = {
                "auroc": round_interval(auroc_interval(v, resample(v))),
                "pixel_auroc": round(pixel_auroc(found, [mask for _, _, _, mask in mine]), 4),
                "verdicts": dict(Counter(one.verdict for one in found)),
            }
    return out
