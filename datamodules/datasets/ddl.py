"""DDL-I: images of the challenge of 2025, forged by 61 methods, with masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import one_of, resolve_inside, walk, word
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.media.image_sequence import IMAGE_SUFFIXES
from datamodules.runtime.errors import UserError

HOMES = {"train": "train", "valid": "val", "val": "val", "test": "test"}
MASKS = ("masks", "mask")


def index_images(root: Path) -> Iterator[Video]:
    """``real``, ``fake`` and ``masks`` in ``train`` and ``valid``, or without those, where all is for testing."""
    homes = {root / name: split for name, split in HOMES.items() if (root / name / "real").is_dir()}
    if not homes:
        if not (root / "real").is_dir():
            raise UserError(f"{root}: holds no folder real, nor {' or '.join(f'{name}/real' for name in HOMES)}")
        homes = {root: "test"}
    for home, split in homes.items():
        yield from list_images(root, home, split)
    if unlabelled := [path for path in (root / "test").glob("*") if path.suffix.lower() in IMAGE_SUFFIXES]:
        report_issue("held out", "test", f"{len(unlabelled)} images without a label: left out", len(unlabelled))


def list_images(root: Path, home: Path, split: str) -> Iterator[Video]:
    masks = {}
    for name in MASKS:
        for path in walk(root, home / name, IMAGE_SUFFIXES) if (home / name).is_dir() else ():
            masks[path.relative_to(home / name).with_suffix("").as_posix()] = path
    for label, folder in enumerate(("real", "fake")):
        for path in walk(root, one_of(home, folder), IMAGE_SUFFIXES):
            name = path.relative_to(home / folder).with_suffix("").as_posix()
            mask = masks.pop(name, None) if label else None
            if label and mask is None:
                report_issue("no mask", resolve_inside(root, path), "is forged, and no mask has its name")
            stem = path.relative_to(root).with_suffix("").as_posix()
            yield Video(
                dataset="ddl_images",
                method="ddl" if label else "real",  # the 61 methods are not told file by file
                stem=stem,
                path=resolve_inside(root, path),
                label=label,
                split=split,
                identities=word(stem),
                mask=resolve_inside(root, mask) if mask else "",
            )
    for mask in masks.values():
        report_issue("unexpected", resolve_inside(root, mask), "a mask of nothing in fake/")
