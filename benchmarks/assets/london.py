"""Makes the studio's people: the London photographs at the size of the studio, their 68 points and their table.

Those of a neutral photograph lie on lines through the 189 that its owners placed by hand. Those of a smile are dlib's,
moved as far as the owners' are from dlib's in the neutral one, and put right by hand where somebody saw them wrong.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from jsonargparse import auto_cli
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from datamodules.faces.detection.base import Found
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.dlib import DlibLandmarks
from datamodules.faces.landmarks.points import MIRROR
from datamodules.media.image import decode
from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.studio.people import LONDON

Floats = NDArray[np.float64]
SIDE = 700
FACE = 116.0  # side of the smallest face that is searched for
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
JPEG += [cv2.IMWRITE_JPEG_OPTIMIZE, 1]
BOXES = 16  # over whose points, and those of the mirrored photograph, is averaged: one fit alone is a pixel off
RIGID = [27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45]
LIPS = ((61, 67), (62, 66), (63, 65))  # of the inner mouth: above, below

# Lines through the 189 points of the template; a pair stands for the middle between two.
Line = tuple[int | tuple[int, int], ...]
LINES: dict[str, Line] = {
    "jaw": (109, 110, 111, 125, 126, 127, 128, 129, 130, 131, 132, 133, 114, 113, 112),
    "left brow": (71, 72, 73, 74, 75, 76),
    "right brow": (77, 78, 79, 80, 81, 82),
    "bridge": ((50, 56), (51, 57), (52, 58), (53, 59), (54, 60)),
    "nostrils": (64, (170, 179), 55, (172, 182), 69),
    "left upper lid": (18, 19, 20, 21, 22),
    "left lower lid": (22, 30, 29, 28, 18),
    "right upper lid": (23, 24, 25, 26, 27),
    "right lower lid": (27, 33, 32, 31, 23),
    "upper lip": (87, 88, 89, 90, 91, 92, 93),
    "lower lip": (93, 108, 107, 106, 105, 104, 87),
    "upper lip, inside": (87, 94, 95, 96, 97, 98, 93),
    "lower lip, inside": (93, 103, 102, 101, 100, 99, 87),
}
# Where the 68 lie on them: 2 is the third point of a line, 2.5 half way to the fourth. Whole numbers are placed by
# hand; the others are nearest to dlib's points on average over the 102 faces, the same on both sides of a face.
PLACES: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("jaw", (0, 0.85, 1.6, 2.55, 3.55, 4.55, 5.4, 6.2, 7, 7.8, 8.6, 9.45, 10.45, 11.45, 12.4, 13.15, 14)),
    ("left brow", (0, 1.2, 2.4, 3.35, 4.5)),
    ("right brow", (0.5, 1.65, 2.6, 3.8, 5)),
    ("bridge", (0.2, 1.75, 3, 4)),
    ("nostrils", (0, 1, 2, 3, 4)),
    ("left upper lid", (0, 1.35, 2.65, 4)),
    ("left lower lid", (1.35, 2.65)),
    ("right upper lid", (0, 1.35, 2.65, 4)),
    ("right lower lid", (1.35, 2.65)),
    ("upper lip", (0, 1, 2, 3, 4, 5, 6)),
    ("lower lip", (1.35, 2.3, 3, 3.7, 4.65)),
    ("upper lip, inside", (0.5, 2, 3, 4, 5.5)),
    ("lower lip, inside", (2, 3, 4)),
)
# Points of smiles that were seen to be wrong, in pixels of the files that are written.
CORRECTIONS = """
006 65:366.5,464.5 66:351,465.5 67:339,465
008 56:358,466.5 57:343,467 58:327,463.5
021 48:289,412 54:402,407.5 61:336,415.5 62:349,417 63:364,415.5 65:364,420 66:349,421.5 67:336,420
025 48:296.5,449
038 48:297,429 54:406,427 60:308,430.5 64:398,428.5
042 54:397,473.5 61:321,465.5 62:338.5,465.2 63:356.5,467 64:384,471.5 65:356.5,467.5 66:338.5,466 67:321,466
043 61:337,419.5 62:352,420.5 63:367,419.5 65:367,420 66:352,421 67:337,420
061 65:362,447.5 66:345,449 67:327,447
062 48:286,467 54:405.5,469 60:295,470 64:397,472 65:371,484.5 66:349,487 67:329,484.5
067 48:303,454 54:396,457.5
070 48:297,428 49:320,425.5 50:345,422.7 51:354,425 52:364,423 53:386.5,425.5 54:404,429.5 55:388,441
    56:371,446.3 57:356,447 58:340,445.7 59:320,440 60:306,430 61:338,431.5 62:353,433.3 63:367,432 64:394,430
    65:367,432.5 66:353,433.8 67:338,432
082 54:410,426 62:360,438.2 63:372,435.5 64:396,430 65:372,436.2 66:360,439
099 65:368,460 66:349,462 67:331,459.5
107 65:374,491.5 66:356,497.5 67:336,494.5
113 65:362,445 66:348,446 67:332,445
114 48:300.5,453.5 54:407,448 60:308,452 61:341,443.5 62:357.5,443 63:373.5,442 64:397.5,447
126 65:365,471 66:347.5,473.5 67:331,471
137 65:363.5,449.5 66:348,450.5 67:331.5,449
144 55:377.5,482.7 56:363,488 57:349.7,489.2 58:336.7,487 59:321,479.5 61:336,469.5 62:350,471.5 63:365,470.5
    65:365,471 66:350,472 67:336,470
"""


@dataclass(frozen=True, kw_only=True)
class LondonFace:
    """What is known of one person, in pixels of the photographs as they came."""

    neutral: Path
    smiling: Path
    template: Floats  # (189, 2) of the neutral one


def read_faces(source: Path) -> dict[str, LondonFace]:
    """The owners' folders, or a copy of them with all points in one file."""
    copied = source / "points_189.json"
    if copied.is_file():
        placed = {Path(name).stem[:3]: np.array(points) for name, points in json.loads(copied.read_text()).items()}
        folder = source / "london"
        return {
            id: LondonFace(neutral=folder / f"{id}_neutral.jpg", smiling=folder / f"{id}_smiling.jpg", template=points)
            for id, points in sorted(placed.items())
        }
    found = sorted((source / "neutral_front").glob("*_03.tem"))
    if not found:
        raise UserError(f"{source}: has neither neutral_front/NNN_03.tem nor points_189.json")
    return {
        path.stem[:3]: LondonFace(
            neutral=path.with_suffix(".jpg"),
            smiling=source / "smiling_front" / f"{path.stem[:3]}_08.jpg",
            template=read_tem(path.read_text()),
        )
        for path in found
    }


def read_tem(text: str) -> Floats:
    """The points of WebMorph's format: how many they are, one a line, then the lines that connect them."""
    lines = text.split("\n")
    return np.array([line.split() for line in lines[1 : 1 + int(lines[0])]], float)


def interpolate(points: Floats, places: Sequence[float]) -> Floats:
    """(N, 2) on a smooth line through points; a whole place is a point itself."""
    length = np.r_[0, np.cumsum(np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), 1e-6))]
    out: Floats = CubicSpline(length, points)(np.interp(places, np.arange(len(points)), length))
    return out


def convert_template(template: Floats) -> Floats:
    """(189, 2) to (68, 2)."""
    lines = {name: np.stack([template[np.atleast_1d(at)].mean(0) for at in line]) for name, line in LINES.items()}
    return np.concatenate([interpolate(lines[name], places) for name, places in PLACES])


def detect_points(image: NDArray[np.uint8], model: DlibLandmarks) -> Floats:
    """(68, 2): the mean over boxes that differ a little, and over the photograph and its mirror image."""
    (face,) = HOG().find(image, FACE)
    size, middle = face.box[2:] - face.box[:2], (face.box[2:] + face.box[:2]) / 2
    mirrored, last = np.ascontiguousarray(image[:, ::-1]), image.shape[1] - 1
    rng, found = np.random.default_rng(0), []
    for _ in range(BOXES):
        centre, half = middle + rng.normal(0, 0.04, 2) * size, rng.uniform(0.46, 0.55) * size
        box = np.r_[centre - half, centre + half].astype(np.float32)
        turned = np.array([last - box[2], box[1], last - box[0], box[3]], np.float32)
        found.append(model.fit(image, Found(box=box, score=0)).points)
        fitted = model.fit(mirrored, Found(box=turned, score=0)).points
        found.append(np.stack([last - fitted[:, 0], fitted[:, 1]], 1)[MIRROR])
    return np.mean(found, axis=0, dtype=float)


def carry_points(placed: Floats, neutral: Floats, smiling: Floats) -> Floats:
    """The points that are placed by hand, moved as a model's move from one photograph to the other."""
    matrix, _ = cv2.estimateAffinePartial2D(neutral[RIGID], smiling[RIGID], method=cv2.LMEDS)
    moved = smiling - (neutral @ matrix[:, :2].T + matrix[:, 2])
    # along the cheeks a model is sure of the outline, not of the place on it
    padded = np.pad(moved[:17], ((2, 2), (0, 0)), mode="edge")
    moved[:17] = sum(weight * padded[i : i + 17] for i, weight in enumerate((1, 2, 3, 2, 1))) / 9
    out = placed @ matrix[:, :2].T + matrix[:, 2] + moved
    return close_lips(out)


def close_lips(points: Floats) -> Floats:
    """Lips that touch where they would cross."""
    out = points.copy()
    for above, below in LIPS:
        if out[below, 1] < out[above, 1]:
            out[[above, below]] = out[[above, below]].mean(0)
    return out


def read_corrections() -> dict[str, dict[int, tuple[float, ...]]]:
    found: dict[str, dict[int, tuple[float, ...]]] = {}
    for word in CORRECTIONS.split():
        if ":" not in word:
            mine = found.setdefault(word, {})
            continue
        index, place = word.split(":")
        mine[int(index)] = tuple(map(float, place.split(",")))
    return found


def shrink(path: Path) -> NDArray[np.uint8]:
    return cv2.resize(decode(path.read_bytes()), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def write_london(source: Path, out: Path = LONDON) -> None:
    """Fill the folder of the studio's people from the Face Research Lab London Set.

    Args:
        source: Folder of the download (neutral_front and smiling_front with NNN_03.jpg, NNN_03.tem and NNN_08.jpg,
            and london_faces_info.csv), or of a smaller copy (london, london.csv and points_189.json).
        out: Folder to fill.
    """
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    model, corrections = DlibLandmarks(), read_corrections()
    lines = []
    for id, face in read_faces(source).items():
        images = {"neutral": shrink(face.neutral), "smiling": shrink(face.smiling)}
        for name, image in images.items():
            if not cv2.imwrite(str(out / f"{id}_{name}.jpg"), image[..., ::-1], JPEG):
                raise UserError(f"{out}: cannot be written to")
        side = PIL.Image.open(face.neutral).width
        neutral, smiling = (detect_points(image, model) for image in images.values())
        placed = close_lips((convert_template(face.template) + 0.5) * (SIDE / side) - 0.5)
        carried = carry_points(placed, neutral, smiling)
        for index, place in corrections.get(id, {}).items():
            carried[index] = place
        points = {"neutral": placed.round(2).tolist(), "smiling": carried.round(2).tolist()}
        lines.append(f"{json.dumps(id)}: {json.dumps(points, separators=(',', ':'))}")
    write_text(out / "points.json", "{\n" + ",\n".join(lines) + "\n}\n")
    table = next(path for name in ("london_faces_info.csv", "london.csv") if (path := source / name).is_file())
    with table.open(newline="", encoding="utf-8-sig") as f:
        rows = [
            [row["face_id"][-3:], *(row[f"face_{name}"] for name in ("age", "gender", "eth"))]
            for row in csv.DictReader(f)
        ]
    written = [["id", "age", "gender", "group"], *([cell if cell != "NA" else "" for cell in row] for row in rows)]
    write_text(out / "people.csv", "\n".join(map(",".join, written)) + "\n")


if __name__ == "__main__":
    auto_cli(write_london, as_positional=False)
