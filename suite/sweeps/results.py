"""The figures of a sweep: one row for each test and group of forgeries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from datamodules.tables import read_skipped
from lightning_modules.intervals import Interval
from suite.figures import Run, by_forgery, read_run, verdict, videos
from suite.sweeps.plan import Cell, Sweep
from suite.sweeps.play import DONE

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


def coverage(run: Run) -> float:
    """Share of the test videos in which a face was found; 'prepare' says which it left out."""
    prepared = Path(yaml.safe_load((run.path / "settings.yaml").read_text())["data"]["init_args"]["prepared"])
    scored = set(run.table["video"].astype(str))
    sets = {video.split("/")[0] for video in scored}
    lost = [s for s in read_skipped(prepared) if s.video.split("/")[0] in sets and s.split in ("test", "")]
    return len(scored) / (len(scored) + len(lost))


def rows(sweep: Sweep, out: Path) -> Iterator[dict[str, Any]]:
    """Of the tests that came to their end."""
    for cell in sweep.cells():
        for test in sweep.test:
            place = cell.tested(out, test)
            if not (place / DONE).is_file() or not (place / "predictions.parquet").is_file():
                continue
            yield from rows_of(cell, test, read_run(place), seconds(cell.run(out)), seconds(place))


def rows_of(cell: Cell, test: str, run: Run, trained: float | None, tested: float | None) -> Iterator[dict[str, Any]]:
    v = videos(run)
    same: dict[str, Any] = {"method": cell.method, "train": cell.train, "seed": cell.seed, "test": test}
    cost = {"coverage": coverage(run), "train_seconds": trained, "test_seconds": tested}
    reals, fakes = int((v.label == 0).sum()), int((v.label == 1).sum())
    yield {**same, "forgery": ALL, "seen": None, "reals": reals, "fakes": fakes, **spread(verdict(run)), **cost}
    for row in by_forgery(run):
        figures = spread({"video AUROC": row.auroc, **row.pixels})
        about = {"forgery": row.method, "seen": row.seen, "reals": reals, "fakes": row.count}
        yield {**same, **about, **figures, **cost}


def seconds(folder: Path) -> float | None:
    done = folder / DONE
    return float(json.loads(done.read_text())["seconds"]) if done.is_file() else None


def collect(sweep: Sweep, out: Path) -> list[dict[str, Any]]:
    """Writes results.parquet and results.json."""
    found = list(rows(sweep, out))
    if found:
        pq.write_table(pa.Table.from_pylist(found), out / "results.parquet")
    (out / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    return found
