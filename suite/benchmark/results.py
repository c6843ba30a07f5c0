"""The metrics of a sweep: one row for each test and group of forgeries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datamodules.runtime.atomic_files import write_atomically, write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_json
from lightning_modules.metrics.bootstrap import Interval
from lightning_modules.metrics.registry import FITS, METRICS, get
from suite.benchmark.conditions import Condition
from suite.benchmark.coverage import count_missing_as_chance, coverage, list_unscored
from suite.benchmark.plan import SweepJob
from suite.run_metrics import measure_forgeries, read_run, verdict, videos

ALL = "all"  # of the forgeries of a test


def spread(metrics: Mapping[str, Interval]) -> dict[str, float | None]:
    """A column for each metric of the registry and each end of its interval; what is not a number is nothing."""
    out: dict[str, float | None] = dict.fromkeys(columns())
    for id, one in metrics.items():
        name = get(id).id
        for column, value in ((name, one.value), (f"{name}_low", one.low), (f"{name}_high", one.high)):
            out[column] = None if np.isnan(value) else value
    return out


def columns() -> list[str]:
    return [f"{metric.id}{end}" for metric in METRICS for end in ("", "_low", "_high")]


def rows_of(
    job: SweepJob, condition: Condition, place: Path, prepared: Path, seconds: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """Of one test; kept beside it, since intervals take their time.

    Args:
        prepared: Folder of the test set.
        seconds: That training and testing took, as far as they are known.
    """
    table, kept = place / "predictions.parquet", place / "rows.json"
    if kept.is_file() and kept.stat().st_mtime_ns > table.stat().st_mtime_ns:
        before = read_kept(kept)
        if before is not None:
            return before
    run = read_run(place)
    v = videos(run)
    same: dict[str, Any] = {"method": job.method, "train": job.train, "seed": job.seed, "test": condition.test}
    same |= {"degradation": condition.kind, "severity": condition.severity}
    missing = list_unscored(run, prepared)
    share = None if missing is None else coverage(run, missing)
    cost: dict[str, Any] = {"coverage": share, **{fit.id: run.fixed_values.get(fit.id) for fit in FITS}}
    cost |= {f"{name}_seconds": value for name, value in seconds.items()}
    own = run.own_validation
    cost |= {"own_validation": own.auroc, "needs_validation": own.is_needed}
    cost["parameters"] = int(run.about["parameters"]) if "parameters" in run.about else None
    cost["map_by"] = run.map_by
    reals, fakes = int((v.label == 0).sum()), int((v.label == 1).sum())
    whole = spread(verdict(run))
    value = whole["video_auroc"]
    chance = None if missing is None or value is None else count_missing_as_chance(run, missing, value)
    about = {"forgery": ALL, "seen": None, "reals": reals, "fakes": fakes, "video_auroc_as_chance": chance}
    rows = [{**same, **about, **whole, **cost}]
    for row in measure_forgeries(run):
        about = {"forgery": row.method, "seen": row.seen, "reals": reals, "fakes": row.count}
        about["video_auroc_as_chance"] = None
        rows.append({**same, **about, **spread(row.metrics), **cost})
    write_text(kept, json.dumps(rows))
    return rows


def read_kept(path: Path) -> list[dict[str, Any]] | None:
    """None where an earlier version wrote them, or they are damaged: they are made again."""
    try:
        rows: list[dict[str, Any]] = read_json(path, list)
        pa.Table.from_pylist(rows, pa.schema(list(kinds().items())))
    except (UserError, pa.ArrowException, AttributeError, TypeError):
        return None
    return rows if rows and all(row.keys() == set(kinds()) for row in rows) else None


def kinds() -> dict[str, pa.DataType]:
    """Columns of the results."""
    found: dict[str, pa.DataType] = {
        n: pa.string() for n in ("method", "train", "test", "degradation", "forgery", "map_by")
    }
    found |= dict.fromkeys(("severity", "parameters", "seed", "reals", "fakes"), pa.int64())
    found |= {"seen": pa.bool_(), "needs_validation": pa.bool_()}
    others = [
        "own_validation",
        "video_auroc_as_chance",
        "coverage",
        "train_seconds",
        "test_seconds",
        *(fit.id for fit in FITS),
    ]
    return found | dict.fromkeys([*columns(), *others], pa.float64())


def write(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """results.parquet and results.json."""
    with write_atomically(out / "results.parquet") as part:
        pq.write_table(pa.Table.from_pylist(list(rows), pa.schema(list(kinds().items()))), part)
    write_text(out / "results.json", json.dumps(rows, indent=1) + "\n")
