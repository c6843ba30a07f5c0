"""Faces of photographs at a size, turned, blurred, dark or half covered, with their points."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datamodules.faces.detection.base import Floats, Found, Image, overlap
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG
from datamodules.media.image import decode
from datamodules.studio.people import read_people

CANVAS = 480
NEAR, LEAST, MOST = 0.4, 0.5, 1.8  # of the side of the face: how far off a hit may be, and its side
USUAL = 120.0  # side of a face where nothing else is said
BOX_OVER_JAW = 0.94  # side of dlib's box over the width of the jaw, measured on London
SIZES = (30, 38, 50, 80, 120, 240)
TURNS = (15, 30, 45, 60, 90)
BLURS = (2, 4, 8)  # sigma in percent of the side of the face
GAINS = (0.3, 0.1, 0.03)  # of the light that reaches the camera
Change = Callable[[Image, Floats], Image]  # of an upright face of USUAL pixels and its box


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownPortrait:
    """One face, upright."""

    image: Image
    box: Floats  # (4,)
    points: Floats | None  # (68, 2), where people placed them


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    condition: str
    image: Image  # (CANVAS, CANVAS, 3)
    centre: Floats  # (2,)
    side: float
    points: Floats | None

    @property
    def box(self) -> Floats:
        return np.concatenate([self.centre - self.side / 2, self.centre + self.side / 2]).astype(np.float32)


def box_of(points: Floats) -> Floats:
    centre, half = points[17:].mean(0), BOX_OVER_JAW * float(np.ptp(points[:17, 0])) / 2
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def london(count: int) -> Iterator[KnownPortrait]:
    people = read_people()
    for person in people[:: len(people) // count][:count]:
        points = person.neutral.points
        yield KnownPortrait(image=person.neutral.read(), box=box_of(points), points=points)


def portraits(folder: Path, count: int) -> Iterator[KnownPortrait]:
    """Photographs of one face each; where it is say two detectors that agree."""
    paths = sorted(folder.glob("*.jpg"))
    for path in paths[:: max(1, len(paths) // count)][:count]:
        image = decode(path.read_bytes())
        for one in HOG().find(image, 60)[:1]:
            for other in BlazeFace().find(image, 60)[:1]:
                if overlap(one.box, other.box) > 0.5:
                    yield KnownPortrait(image=image, box=((one.box + other.box) / 2).astype(np.float32), points=None)


def place(
    portrait: KnownPortrait, condition: str, side: float = USUAL, degrees: float = 0.0, change: Change | None = None
) -> Case:
    """In the middle of a grey canvas, turned clockwise."""
    centre, scale = portrait.box.reshape(2, 2).mean(0), side / float(portrait.box[2] - portrait.box[0])
    matrix = cv2.getRotationMatrix2D(tuple(map(float, centre)), -degrees, scale)
    matrix[:, 2] += CANVAS / 2 - centre
    image = cv2.GaussianBlur(portrait.image, (0, 0), 0.4 / scale) if scale < 0.6 else portrait.image
    image = cv2.warpAffine(image, matrix, (CANVAS, CANVAS), borderValue=(118, 120, 122))
    points = portrait.points @ matrix[:, :2].T + matrix[:, 2] if portrait.points is not None else None
    case = Case(
        condition=condition,
        image=np.asarray(image, np.uint8),
        centre=np.full(2, CANVAS / 2, np.float32),
        side=side,
        points=points,
    )
    return (
        case
        if change is None
        else Case(condition=condition, image=change(case.image, case.box), centre=case.centre, side=side, points=points)
    )


def blur(percent: float) -> Change:
    return lambda image, box: np.asarray(cv2.GaussianBlur(image, (0, 0), percent * USUAL / 100), np.uint8)


def darken(gain: float) -> Change:
    """Less light on a sensor with the noise of photons and of reading."""

    def change(image: Image, box: Floats) -> Image:
        rng = np.random.default_rng(0)
        light = gain * (image / 255.0) ** 2.2
        light += rng.normal(0, 1, image.shape) * np.sqrt(light * 2e-4 + 1e-6)
        return (255 * light.clip(0, 1) ** (1 / 2.2)).round().astype(np.uint8)

    return change


def cover(x0: float, y0: float, x1: float, y1: float, skin: bool) -> Change:
    """A bar over a part of the box, in shares of its side; grey, or of the colour of the cheeks."""

    def change(image: Image, box: Floats) -> Image:
        out, side = image.copy(), box[2] - box[0]
        left, top = np.rint(box[:2] + side * np.array([x0, y0])).astype(int)
        right, bottom = np.rint(box[:2] + side * np.array([x1, y1])).astype(int)
        x, y = np.rint(box[:2] + side * np.array([0.3, 0.6])).astype(int)
        colour: Any = image[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3).mean(0) if skin else (128, 128, 128)
        out[top:bottom, left:right] = colour
        return out

    return change


CHANGES: dict[str, Change] = {
    **{f"blurred, sigma {percent} % of the face": blur(percent) for percent in BLURS},
    **{f"dark, {gain:g} of the light": darken(gain) for gain in GAINS},
    "mouth covered, grey": cover(0, 0.62, 1, 1.0, skin=False),
    "mouth covered, skin": cover(0, 0.62, 1, 1.0, skin=True),
    "eyes covered, grey": cover(-0.1, 0.0, 1.1, 0.36, skin=False),
    "eyes covered, skin": cover(-0.1, 0.0, 1.1, 0.36, skin=True),
    "left half covered, grey": cover(-0.3, -0.3, 0.5, 1.2, skin=False),
}


def conditions(portrait: KnownPortrait) -> Iterator[Case]:
    for side in SIZES:
        yield place(portrait, f"{side} px", side)
    for degrees in TURNS:
        yield place(portrait, f"turned by {degrees} degrees", degrees=degrees)
    for name, change in CHANGES.items():
        yield place(portrait, name, change=change)


def is_hit(found: Found, case: Case) -> bool:
    centre, side = found.box.reshape(2, 2).mean(0), float(found.box[2] - found.box[0])
    return bool(np.abs(centre - case.centre).max() < NEAR * case.side) and LEAST < side / case.side < MOST


def known_face(cases: list[Case]) -> tuple[Image, Found]:
    """A face of the usual size in a frame of 1280 x 720."""
    case = next(case for case in cases if case.points is not None and case.side == USUAL)
    frame = np.asarray(cv2.copyMakeBorder(case.image, 120, 120, 400, 400, cv2.BORDER_REPLICATE), np.uint8)
    return frame, Found(box=case.box + np.array([400, 120, 400, 120], np.float32), score=1)


def measure_cost(call: Callable[[], object], rounds: int) -> float:
    """CPU milliseconds."""
    call()
    start = time.process_time()
    for _ in range(rounds):
        call()
    return round(1000 * (time.process_time() - start) / rounds, 1)


def show(title: str, rows: dict[str, dict[str, dict[str, float]]], keys: tuple[str, ...]) -> str:
    """A table in Markdown: a row for each condition, a column for each model."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"| {' | '.join([title, *names])} |", f"|{' --- |' * (len(names) + 1)}"]
    for condition, row in rows.items():
        cells = [
            " / ".join(f"{row[name][k]:g}" for k in keys if k in row[name]) if name in row else "" for name in names
        ]
        lines.append(f"| {' | '.join([condition, *cells])} |")
    return "\n".join(lines)
