"""DeepFakeDetection: paid actors in sixteen scenes, often several in an image, so that the mask says who is forged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.ffpp import COMPRESSIONS
from datamodules.datasets.listing import check_count, one_of, resolve_inside, videos_in
from datamodules.issues import report_issue
from datamodules.manifest import Video

REAL = re.compile(r"(\d\d)__(.+)")
FAKE = re.compile(r"(\d\d)_(\d\d)__(.+)__[A-Z0-9]{8}")


def people(stem: str) -> str:
    """The scene of an actor, and the actors; none of another name."""
    if fake := FAKE.fullmatch(stem):
        return f"{fake[1]}__{fake[3]} {fake[1]} {fake[2]}"
    real = REAL.fullmatch(stem)
    return f"{stem} {real[1]}" if real else ""


def index(root: Path) -> Iterator[Video]:
    """Lists what is in a copy of FaceForensics++. There are no official splits: all is for testing."""
    one_of(root, "manipulated_sequences/DeepFakeDetection")
    for compression in COMPRESSIONS:
        rows = [*list_real(root, compression), *list_fake(root, compression)]
        yield from check_count(rows, {"real": 363, "fake": 3068} if rows else {}, compression)


def list_real(root: Path, compression: str) -> Iterator[Video]:
    for path in videos_in(root, root / "original_sequences" / "actors" / compression):
        if not REAL.fullmatch(path.stem):
            report_issue("unexpected", resolve_inside(root, path), "its name is not ACTOR__SCENE: left out")
            continue
        yield Video(
            dataset="dfd",
            method="real",
            compression=compression,
            stem=path.stem,
            path=resolve_inside(root, path),
            label=0,
            split="test",
            identities=people(path.stem),
        )


def list_fake(root: Path, compression: str) -> Iterator[Video]:
    home = root / "manipulated_sequences" / "DeepFakeDetection"
    masks = {path.stem: path for path in videos_in(root, home / "masks")}
    found = videos_in(root, home / compression)
    for path in found:
        if not FAKE.fullmatch(path.stem):
            report_issue(
                "unexpected", resolve_inside(root, path), "its name is not TARGET_SOURCE__SCENE__CODE: left out"
            )
            continue
        if path.stem not in masks:
            report_issue("no mask", resolve_inside(root, path), "nothing says which of several faces is forged")
        yield Video(
            dataset="dfd",
            method="DeepFakeDetection",
            compression=compression,
            stem=path.stem,
            path=resolve_inside(root, path),
            label=1,
            split="test",
            identities=people(path.stem),
            mask=resolve_inside(root, masks[path.stem]) if path.stem in masks else "",
        )
