"""DFDC, the data set of the challenge: fifty training parts and a test set."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import counted, inside, one_of, read_json, videos_in
from datamodules.datasets.splits import apart
from datamodules.errors import Refused
from datamodules.findings import note
from datamodules.manifest import Video


def index(root: Path) -> Iterator[Video]:
    """Lists a copy: the test set, the training parts, or both."""
    parts = sorted((root / "train").glob("dfdc_train_part_*"))
    folder = one_of(root, "test", "videos") if not parts else next(filter(Path.is_dir, tests(root)), None)
    rows = [row for part in parts for row in training(root, part)]
    if folder is not None:
        rows += testing(root, folder)
    yield from apart(counted(rows, {"test real": 2500, "test fake": 2500} if folder else {}))


def tests(root: Path) -> list[Path]:
    return [root / "test", root / "videos"]


def training(root: Path, part: Path) -> Iterator[Video]:
    """One part; a video and all forgeries of it are one group."""
    entries = read_json(part / "metadata.json")
    here = {path.name: path for path in videos_in(root, part)}
    for name, entry in entries.items():
        place = inside(root, part / name)
        if name not in here:
            note("missing", place, "in metadata.json, but not here")
            continue
        path = here.pop(name)
        if entry.get("label") not in ("REAL", "FAKE"):
            note("list", place, f"metadata.json labels it {entry.get('label')!r}, not REAL or FAKE: left out")
            continue
        label = int(entry["label"] == "FAKE")
        original = entry.get("original")
        if label and not original:
            note("list", place, "metadata.json names no original of this fake: left out, for its group is unknown")
            continue
        yield one(root, path, label, "train", Path(original or name).stem)
    for path in here.values():
        note("unexpected", inside(root, path), "not in metadata.json: left out")


def testing(root: Path, folder: Path) -> Iterator[Video]:
    labels = test_labels(root, folder)
    for path in videos_in(root, folder):
        label = labels.pop(path.name, None)
        if label is None:
            note("unexpected", inside(root, path), "has no label: left out")
        else:
            yield one(root, path, label, "test", path.stem)
    for name in labels:
        note("missing", inside(root, folder / name), "has a label, but is not here")


def test_labels(root: Path, folder: Path) -> dict[str, int]:
    """File name to label, from either form that the owners released."""
    for path in (root / "labels.csv", folder / "labels.csv"):
        if path.exists():
            with path.open(newline="") as f:
                rows = list(csv.DictReader(f))
            for row in rows:
                if row.get("label") not in ("0", "1"):
                    raise Refused(f"{path}: label {row.get('label')!r} of {row.get('filename')!r} must be 0 or 1")
            return {row["filename"]: int(row["label"]) for row in rows}
    if (folder / "metadata.json").exists():
        return {name: int(entry["is_fake"]) for name, entry in read_json(folder / "metadata.json").items()}
    raise Refused(f"{root}: the labels of {folder.name} are missing, labels.csv or {folder.name}/metadata.json")


def one(root: Path, path: Path, label: int, split: str, group: str) -> Video:
    return Video(
        dataset="dfdc",
        method="dfdc" if label else "real",
        stem=path.stem,
        path=inside(root, path),
        label=label,
        split=split,
        identities=group,
    )
