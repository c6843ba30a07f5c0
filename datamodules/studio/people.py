"""Who is rendered: people of whom there is a photograph, or a neutral and a smiling one."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from math import degrees
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from datamodules.faces.detection.base import Image
from datamodules.faces.detection.blaze_face import BlazeFace, measure_roll
from datamodules.faces.landmarks.base import Landmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.issues import Kind, report_issue
from datamodules.media.image_sequence import IMAGE_SUFFIXES, is_image
from datamodules.runtime.errors import UserError

LONDON = Path(__file__).parent / "london"
TABLE, POINTS = "people.csv", "points.json"
BESIDE = {".csv", ".json", ".md", ".txt", ""}  # what may lie beside the photographs
NEUTRAL, SMILING = "neutral", "smiling"
LEAST = 80  # pixels between the ends of the jaw
PART = 10  # the shorter side of a photograph over the smallest face that is searched for
SHARES = {"train": 70, "val": 12, "test": 20}  # of the 102 of London
ROLL = 30.0  # degrees that a head may lean in a photograph
FEWEST = 2 * len(SHARES)
BALANCED = ("gender", "group", "age_band")
BANDS = ((25, "under 25"), (35, "25 to 34"), (55, "35 to 54"))
# One draw for every studio, so that nobody is trained on in one and tested in another. Of 400, the one with the best
# balance, also in the first 8 and 32 people of London.
SEED = b"studio people 371"


@dataclass(frozen=True, kw_only=True, eq=False)
class Photograph:
    path: Path
    points: NDArray[np.float32]  # (68, 2) in pixels of the upright photograph

    def read(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB, upright."""
        return read_upright(self.path)


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    id: str
    neutral: Photograph  # the only one, whatever the face does in it, where there is no smiling one
    smiling: Photograph | None
    attributes: dict[str, str]  # what is unknown is not in it


class Unusable(Exception):
    """Why a photograph is left out; says it without the path."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def read_people(folder: Path = LONDON, landmarks: Landmarks | None = None) -> list[Person]:
    """Everybody of a folder whose face can be used, by name; who cannot is noted among the findings.

    Args:
        folder: Photographs NAME.jpg, or NAME_neutral.jpg and NAME_smiling.jpg, with or without people.csv (id and any
            attributes) and points.json.
        landmarks: Finds the points that points.json lacks; the packaged dlib model without it.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: {'is a file, must be a folder of photographs' if folder.exists() else 'no such folder'}"
        )
    files = find_photographs(folder)
    table, points = read_table(folder / TABLE), read_points(folder / POINTS)
    for id in [id for id in {**table, **points} if id not in files]:
        report_issue("missing", f"{id}.jpg", "listed, but there is no photograph")
    people, reasons = [], []
    for id, files_of_person in sorted(files.items()):
        photographs = {}
        for expression, path in files_of_person.items():
            try:
                photographs[expression] = open_photograph(path, points.get(id, {}).get(expression), landmarks)
            except Unusable as error:
                report_issue(error.kind, path.name, f"left out: {error}")
                reasons.append(f"{path.name} ({error})")
        if NEUTRAL in photographs:
            attributes = table.get(id, {})
            people.append(
                Person(
                    id=id,
                    neutral=photographs[NEUTRAL],
                    smiling=photographs.get(SMILING),
                    attributes=attributes | age_band(attributes),
                )
            )
    if len(people) < FEWEST:
        why = f"; left out: {', '.join(reasons[:5])}{', ...' if len(reasons) > 5 else ''}" if reasons else ""
        raise UserError(
            f"{folder}: {len(people)} usable people, must be {FEWEST} or more, two for each of {', '.join(SHARES)}{why}"
        )
    return people


def find_photographs(folder: Path) -> dict[str, dict[str, Path]]:
    """The files of each person by expression."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        if not is_image(path.name):
            if path.suffix.lower() not in BESIDE:
                report_issue(
                    "unexpected", path.name, f"left out: photographs end in {', '.join(sorted(IMAGE_SUFFIXES))}"
                )
            continue
        id, _, expression = path.stem.rpartition("_")
        if not id or expression not in (NEUTRAL, SMILING):
            id, expression = path.stem, NEUTRAL
        if expression in found.setdefault(id, {}):
            raise UserError(f"{path}: {id} has a {expression} photograph already, {found[id][expression].name}")
        found[id][expression] = path
    for id in [id for id, photographs in found.items() if NEUTRAL not in photographs]:
        report_issue("missing", f"{id}_{NEUTRAL}.jpg", f"left out: {found.pop(id)[SMILING].name} alone is not enough")
    return found


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Attributes of each id, without those left empty."""
    if not path.is_file():
        return {}
    out: dict[str, dict[str, str]] = {}
    try:
        rows = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: must be UTF-8 text ({error})") from error
    if "id" not in (rows.fieldnames or []):
        raise UserError(f"{path}: must have a column id, has {', '.join(rows.fieldnames or []) or 'none'}")
    for row in rows:
        if row["id"] in out:
            raise UserError(f"{path}, line {rows.line_num}: a second row of {row['id']}")
        out[row["id"]] = {name: value for name, value in row.items() if name and name != "id" and value}
    return out


def read_points(path: Path) -> dict[str, dict[str, NDArray[np.float32]]]:
    """(68, 2) of each photograph, by id and expression."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        out = {
            id: {name: np.array(p, np.float32) for name, p in by_expression.items()}
            for id, by_expression in content.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f'{path}: must hold {{"ID": {{"neutral": [[x, y], ...]}}}} ({error})') from error
    for id, by_expression in out.items():
        for name, points in by_expression.items():
            if points.shape != (68, 2) or not np.isfinite(points).all():
                raise UserError(f"{path}: {id}, {name}: must be 68 finite points, is of shape {points.shape}")
    return out


def open_photograph(path: Path, points: NDArray[np.float32] | None, landmarks: Landmarks | None) -> Photograph:
    """With its points, which are found where nobody gave them."""
    try:
        width, height = check_readable(path)
        image = read_upright(path) if points is None else None
    except UserError as error:
        raise Unusable("corrupt", str(error).removeprefix(f"{path}: ")) from error
    if image is not None:
        points = find_points(image, landmarks)
    assert points is not None
    if (points.min(0) < -0.5).any() or (points.max(0) > (width - 0.5, height - 0.5)).any():
        raise Unusable("no face", f"the face reaches over the edge of its {width} x {height} pixels")
    jaw_width = float(np.linalg.norm(points[16] - points[0]))
    if jaw_width < LEAST:
        raise Unusable("no face", f"the face is {jaw_width:.0f} pixels wide, must be {LEAST} or more")
    return Photograph(path=path, points=points)


def find_points(image: Image, landmarks: Landmarks | None) -> NDArray[np.float32]:
    faces = BlazeFace().find(image, max(LEAST / 2, min(image.shape[:2]) / PART))
    if not faces:
        raise Unusable("no face", "no face found")
    if len(faces) > 1:
        raise Unusable("several faces", f"{len(faces)} faces, must be one")
    roll = degrees(measure_roll(faces[0].keypoints))
    if abs(roll) > ROLL:
        raise Unusable("no face", f"the face is turned by {roll:.0f} degrees, must be upright")
    return (landmarks or FaceMesh(eyes=True)).fit(image, faces[0]).points


def check_readable(path: Path) -> tuple[int, int]:
    """Width and height of the upright photograph; all of the file is read, but a JPEG not in all detail."""
    try:
        with PIL.Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) >= 5  # orientations that lie on their side
            image.draft("L", (width // 8, height // 8))
            image.load()
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    return (height, width) if turned else (width, height)


def read_upright(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB as a camera's note of how it was held says; a file that breaks off is refused, not half grey."""
    try:
        with PIL.Image.open(path) as image:
            return np.array(PIL.ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def age_band(attributes: dict[str, str]) -> dict[str, str]:
    """Groups of ages large enough to have metrics, where an age is a number."""
    age = attributes.get("age", "")
    if not age.isdecimal() or "age_band" in attributes:
        return {}
    return {"age_band": next((name for end, name in BANDS if int(age) < end), "55 and over")}


def split_people(people: list[Person]) -> dict[str, list[Person]]:
    """Everybody in one split, an even number in each, with as equal shares of each gender and group as can be.

    Depends on ids, gender, group and age band alone. In the order of a draw: the first of a split are a fair sample.
    """
    shuffled = sorted(people, key=lambda person: draw_key(person.id))
    if len(shuffled) % 2:
        odd = shuffled.pop()
        report_issue(
            "held out", odd.neutral.path.name, "people are rendered in pairs: one of an odd number is left out"
        )
    sizes = split_sizes(len(shuffled))
    groups_of = {person.id: [(name, person.attributes.get(name, "")) for name in BALANCED] for person in shuffled}
    group_sizes = Counter(value for mine in groups_of.values() for value in mine)
    assigned: dict[str, Counter[tuple[str, str]]] = {split: Counter() for split in sizes}
    out: dict[str, list[Person]] = {split: [] for split in sizes}
    # the rarest first, each to the split where the sum of squares of counts over expected counts grows least
    for person in sorted(shuffled, key=lambda person: min(group_sizes[value] for value in groups_of[person.id])):
        mine = groups_of[person.id]
        growth = {
            split: sum((2 * assigned[split][value] + 1) / (size * group_sizes[value]) for value in mine)
            for split, size in sizes.items()
            if len(out[split]) < size
        }
        split = min(growth, key=lambda one: growth[one])
        out[split].append(person)
        assigned[split].update(mine)
    return {split: sorted(mine, key=lambda person: draw_key(person.id)) for split, mine in out.items()}


def split_sizes(count: int) -> dict[str, int]:
    if count < FEWEST:
        raise UserError(f"{count} people, must be {FEWEST} or more, two for each of {', '.join(SHARES)}")
    total = sum(SHARES.values())
    sizes = {name: max(2, 2 * round(count * share / total / 2)) for name, share in SHARES.items()}
    return sizes | {"train": count - sizes["val"] - sizes["test"]}


def draw_key(id: str) -> bytes:
    return blake2b(id.encode(), key=SEED, digest_size=8).digest()
