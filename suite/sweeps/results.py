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
from lightning_modules.metrics import functional
from lightning_modules.metrics.bootstrap import Interval, figure
from suite.figures import by_forgery, read_run, verdict, videos
from suite.sweeps.conditions import Condition
from suite.sweeps.coverage import as_chance, coverage, lost
from suite.sweeps.plan import Cell

ALL = "all"  # of the forgeries of a test
BEST = "balanced accuracy at the best threshold of the test set"  # to see what the transfer of a threshold costs
INTERVALS = {
    "video AUROC": "video_auroc",
    "video AP": "video_ap",
    "video EER": "video_eer",
    "balanced accuracy": "balanced_accuracy",
    BEST: "balanced_accuracy_best",
    "false alarms at the threshold": "fpr_at_validation",
    "found at the threshold": "tpr_at_validation",
    "TPR at 1 % FPR": "tpr_at_1_fpr",
    "ECE": "ece",
    "ECE after temperature scaling": "ece_cooled",
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


def rows_of(
    cell: Cell, condition: Condition, place: Path, prepared: Path, seconds: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """Of one test; kept beside it, since intervals take their time.

    Args:
        prepared: Folder of the test set.
        seconds: That training and testing took, as far as they are known.
    """
    table, kept = place / "predictions.parquet", place / "rows.json"
    if kept.is_file() and kept.stat().st_mtime_ns > table.stat().st_mtime_ns:
        before: list[dict[str, Any]] = json.loads(kept.read_text())
        if all(row.keys() == set(kinds()) for row in before):  # or an earlier version wrote them
            return before
    run = read_run(place)
    v = videos(run)
    same: dict[str, Any] = {"method": cell.method, "train": cell.train, "seed": cell.seed, "test": condition.test}
    same |= {"degradation": condition.kind, "severity": condition.severity}
    missing = lost(run, prepared)
    share = None if missing is None else coverage(run, missing)
    cost: dict[str, Any] = {"coverage": share, "temperature": run.temperature}
    cost |= {f"{name}_seconds": value for name, value in seconds.items()}
    cost["parameters"] = int(run.about["parameters"]) if "parameters" in run.about else None
    reals, fakes = int((v.label == 0).sum()), int((v.label == 1).sum())
    best = {BEST: Interval(value=figure(functional.best_balanced_accuracy, v))}
    whole = spread(verdict(run) | best)
    value = whole[INTERVALS["video AUROC"]]
    chance = None if missing is None or value is None else as_chance(run, missing, value)
    about = {"forgery": ALL, "seen": None, "reals": reals, "fakes": fakes, "video_auroc_as_chance": chance}
    rows = [{**same, **about, **whole, **cost}]
    for row in by_forgery(run):
        figures = spread({"video AUROC": row.auroc, "found at the threshold": Interval(value=row.found), **row.pixels})
        about = {"forgery": row.method, "seen": row.seen, "reals": reals, "fakes": row.count}
        about["video_auroc_as_chance"] = None
        rows.append({**same, **about, **figures, **cost})
    write_text(kept, json.dumps(rows))
    return rows


def kinds() -> dict[str, pa.DataType]:
    """Columns of the results."""
    names = [f"{name}{end}" for name in INTERVALS.values() for end in ("", "_low", "_high")]
    found: dict[str, pa.DataType] = {n: pa.string() for n in ("method", "train", "test", "degradation", "forgery")}
    found |= dict.fromkeys(("severity", "parameters", "seed", "reals", "fakes"), pa.int64())
    found |= {"seen": pa.bool_()}
    others = ["video_auroc_as_chance", "coverage", "temperature", "train_seconds", "test_seconds"]
    return found | dict.fromkeys([*names, *others], pa.float64())


def write(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """results.parquet and results.json."""
    with appearing(out / "results.parquet") as part:
        pq.write_table(pa.Table.from_pylist(list(rows), pa.schema(list(kinds().items()))), part)
    write_text(out / "results.json", json.dumps(rows, indent=1) + "\n")
