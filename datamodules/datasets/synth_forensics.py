"""SynthForensics: FaceForensics++'s and DFD's scenes made anew, as a whole, by generators of video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.ffpp import official_lists
from datamodules.datasets.listing import VIDEOS, check_groups, resolve_inside, walk
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError

PARTS = ("T2V", "I2V")
# Release of FaceForensics++ that is shown beside each level; that these belong together is a guess.
LEVELS = {"raw": "raw", "canonical": "raw", "crf23": "c23", "crf40": "c40"}
REALS = ("youtube", "actors")
FFPP = "FaceForensics++"
COUNT = 1_363  # videos of one generator at one level


def index(root: Path) -> Iterator[Video]:
    """``PART/videos/LEVEL/GENERATOR``; real videos and splits are of FaceForensics++, if it lies in the root."""
    if not any((root / part / "videos").is_dir() for part in PARTS):
        raise UserError(f"{root}: holds no folder {' or '.join(f'{part}/videos' for part in PARTS)}")
    splits = read_splits(root)
    for level in LEVELS:
        fakes = [row for part in PARTS for row in list_fakes(root, part, level, splits)]
        owners = {row.method: COUNT for row in fakes}
        yield from check_groups(fakes, owners, lambda row: [row.method], level)
        yield from list_reals(root, level, fakes, splits)


def read_splits(root: Path) -> dict[str, str]:
    if (root / FFPP / "train.json").is_file():
        return official_lists(root / FFPP).ids
    text = f"train.json, val.json and test.json of {FFPP} are not here: all is for testing"
    report_issue("unexpected", FFPP, text)
    return {}


def list_fakes(root: Path, part: str, level: str, splits: dict[str, str]) -> Iterator[Video]:
    folder = root / part / "videos" / level
    for path in walk(root, folder, VIDEOS) if folder.is_dir() else ():
        generator = path.parent.name
        name = re.fullmatch(rf"(.+)_{re.escape(generator)}_{part.lower()}", path.stem)
        if name is None:
            text = f"its name is not ID_{generator}_{part.lower()}: left out"
            report_issue("unexpected", resolve_inside(root, path), text)
            continue
        yield create(root, path, f"{part}-{generator}", level, name[1], splits)


def list_reals(root: Path, level: str, fakes: list[Video], splits: dict[str, str]) -> Iterator[Video]:
    """Those that have a fake at this level."""
    absent = 0
    for clip in dict.fromkeys(row.identities for row in fakes):
        places = (root / FFPP / "original_sequences" / kind / LEVELS[level] / "videos" for kind in REALS)
        path = next((path for place in places if (path := place / f"{clip}.mp4").is_file()), None)
        if path is None:
            absent += 1
        else:
            yield create(root, path, "real", level, clip, splits)
    if absent:
        text = f"{absent} real videos of level {level} are not here, in {LEVELS[level]}: they are {FFPP}'s and DFD's"
        report_issue("missing", FFPP, text, absent)


def create(root: Path, path: Path, method: str, level: str, clip: str, splits: dict[str, str]) -> Video:
    return Video(
        dataset="synth_forensics",
        method=method,
        compression=level,
        stem=clip,
        path=resolve_inside(root, path),
        label=int(method != "real"),
        split=splits.get(clip, "test"),
        identities=clip,
        modality="" if method == "real" else "video",
    )
