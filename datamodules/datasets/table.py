"""One's own data, listed in a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import is_split, read_csv, word
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError

NAME = "videos.csv"
NEEDED = ("path", "label")
OPTIONAL = (
    "method",
    "split",
    "identities",
    "mask",
    "compression",
    "stem",
    "box",
    "dataset",
    "fake_segments",
    "modality",
)
LABELS = {"real": 0, "fake": 1, "0": 0, "1": 1}


def index(root: Path) -> Iterator[Video]:
    """Reads ``videos.csv``: path and label (real or fake), and what is known of its ``OPTIONAL`` columns."""
    table = root / NAME
    if not table.exists():
        raise UserError(f"{table}: missing; its columns are {', '.join(NEEDED)} and any of {', '.join(OPTIONAL)}")
    for number, row in read_csv(table):
        if lacking := set(NEEDED) - row.keys():
            raise UserError(f"{table}: has no column {', '.join(sorted(lacking))}")
        if strange := row.keys() - set(NEEDED + OPTIONAL):
            raise UserError(f"{table}: column {', '.join(sorted(strange))} is none of {', '.join(NEEDED + OPTIONAL)}")
        if row["label"].lower() not in LABELS:
            raise UserError(f"{table}, line {number}: label {row['label']!r} must be real (0) or fake (1)")
        if not row["path"]:
            raise UserError(f"{table}, line {number}: has no path")
        if not (root / row["path"]).exists():
            report_issue("missing", row["path"], f"in line {number} of {NAME}, but not here")
        elif is_split(row.get("split") or "test", f"line {number} of {NAME}", row["path"]):
            yield create_video(row, LABELS[row["label"].lower()])


def create_video(row: dict[str, str], label: int) -> Video:
    modality = row.get("modality", "")
    label = 0 if modality == "audio" else label  # that of the images
    stem = row.get("stem") or Path(row["path"]).with_suffix("").as_posix()
    return Video(
        dataset=row.get("dataset") or "table",
        method=(row.get("method") or "fake") if label else "real",
        compression=row.get("compression", ""),
        stem=stem,
        path=row["path"],
        label=label,
        split=row.get("split") or "test",
        identities=row.get("identities") or word(stem),
        mask=row.get("mask", ""),
        box=row.get("box", ""),
        fake_segments=row.get("fake_segments", ""),
        modality=modality,
    )
