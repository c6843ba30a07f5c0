"""The figures of a sweep: one row for each test and group of forgeries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datamodules.atomic import appearing, write_text
from datamodules.tables import read_skipped
from lightning_modules.intervals import Interval
from suite.figures import Run, by_forgery, read_run, verdict, videos
from suite.sweeps.plan import Cell

ALL = "all"  # of the forgeries of a test
INTERVALS = {
    "video AUROC": "video_auroc",
    "video AP": "video_ap",
    "video EER": "video_eer",
    "balanced accuracy": "balanced_accuracy",
    "TPR at 1 % FPR": "tpr_at_1_fpr",
    "ECE": "ece",
    "Brier": "brier",
    "frame AUROC": "frame_auroc",
    "pixel AUROC": "pixel_auroc",
    "pixel AP": "pixel_ap",
    "IoU at 0.5": "pixel_iou",
    "F1 at 0.5": "pixel_f1",
    "F1 at the validation threshold": "pixel_f1_at_validation",
    "false alarms on reals": "pixel_false_alarms",
}


def spread(figures: Mapping[str, Interval]) -> dict[str, float | None]:
    """A column for each figure and each end of its interval; what is not a number is nothing."""
    out: dict[str, float | None] = {}
    for title, name in INTERVALS.items():
        one = figures.get(title, Interval(value=float("nan")))
        for column, value in ((name, one.value), (f"{name}_low", one.low), (f"{name}_high", one.high)):
            out[column] = None if np.isnan(value) else value
    return out


def coverage(run: Run, prepared: Path) -> float | None:
    """Share of the test videos in which a face was found; 'prepare' says which it left out."""
    scored = set(run.table["video"].astype(str))
    releases = {(dataset, compression) for dataset, _, compression, _ in (video.split("/", 3) for video in scored)}
    lost = 0
    for skipped in read_skipped(prepared):
        dataset, _, compression, _ = skipped.video.split("/", 3)
        if (dataset, compression) not in releases:
            continue
        if not skipped.split:  # of a table that does not say
            return None
        lost += skipped.split == "test"
    return len(scored) / (len(scored) + lost)


def rows_of(cell: Cell, test: str, place: Path, prepared: Path, trained: float | None) -> list[dict[str, Any]]:
    """Of one test; kept beside it, since intervals take their time."""
    table, kept = place / "predictions.parquet", place / "rows.json"
    if kept.is_file() and kept.stat().st_mtime_ns > table.stat().st_mtime_ns:
        return list(json.loads(kept.read_text()))
    run = read_run(place)
    v = videos(run)
    same: dict[str, Any] = {"method": cell.method, "train": cell.train, "seed": cell.seed, "test": test}
    cost = {"coverage": coverage(run, prepared), "train_seconds": trained}
    reals, fakes = int((v.label == 0).sum()), int((v.label == 1).sum())
    rows = [{**same, "forgery": ALL, "seen": None, "reals": reals, "fakes": fakes, **spread(verdict(run)), **cost}]
    for row in by_forgery(run):
        figures = spread({"video AUROC": row.auroc, **row.pixels})
        about = {"forgery": row.method, "seen": row.seen, "reals": reals, "fakes": row.count}
        rows.append({**same, **about, **figures, **cost})
    write_text(kept, json.dumps(rows))
    return rows


def write(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """results.parquet and results.json."""
    names = [f"{name}{end}" for name in INTERVALS.values() for end in ("", "_low", "_high")]
    kinds: dict[str, pa.DataType] = {name: pa.string() for name in ("method", "train", "test", "forgery")}
    kinds |= {"seed": pa.int64(), "seen": pa.bool_(), "reals": pa.int64(), "fakes": pa.int64()}
    kinds |= dict.fromkeys([*names, "coverage", "train_seconds"], pa.float64())
    with appearing(out / "results.parquet") as part:
        pq.write_table(pa.Table.from_pylist(list(rows), pa.schema(list(kinds.items()))), part)
    write_text(out / "results.json", json.dumps(rows, indent=1) + "\n")
