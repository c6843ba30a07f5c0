"""The metrics of a sweep: one row for each test and group of forgeries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datamodules.runtime.atomic_files import write_atomically, write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_json
from lightning_modules.metrics.bootstrap import Interval
from lightning_modules.metrics.pixel import BINNING
from lightning_modules.metrics.registry import FITS, METRICS, MapBy, get
from lightning_modules.metrics.temporal import TITLES
from lightning_modules.own_validation import OwnValidation
from suite.benchmark.conditions import Condition
from suite.benchmark.coverage import count_missing_as_chance, coverage, list_unscored
from suite.benchmark.plan import SweepJob
from suite.run_metrics import measure_forgeries, read_run, verdict, videos
from suite.runs.time_localization import localize_in_time

ALL = "all"  # of the forgeries of a test
AS_CHANCE = "video_auroc_as_chance"


def spread(metrics: Mapping[str, Interval]) -> dict[str, float | None]:
    """A column for each metric of the registry and each end of its interval; what is not a number is nothing."""
    out: dict[str, float | None] = dict.fromkeys(columns())
    for id, one in metrics.items():
        name = id if id in TITLES else get(id).id
        for column, value in ((name, one.value), (f"{name}_low", one.low), (f"{name}_high", one.high)):
            out[column] = None if np.isnan(value) else value
    return out


def columns() -> list[str]:
    return [f"{id}{end}" for id in (*(one.id for one in METRICS), *TITLES) for end in ("", "_low", "_high")]


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One test of a training, and a group of its forgeries: a line of results.parquet.

    Args:
        degradation: None of videos as they are.
        forgery: 'all', or one of them against all reals.
        seen: Whether it was trained on; None where that is not known, and of all of them.
        parameters: Of the method.
        values: What was measured, by column; None of what is no number.
    """

    job: SweepJob
    test: str
    degradation: str | None = None
    severity: int = 0
    forgery: str = ALL
    seen: bool | None = None
    reals: int
    fakes: int
    map_by: MapBy
    parameters: int | None
    own_validation: OwnValidation
    values: Mapping[str, float | None]

    @property
    def method(self) -> str:
        return self.job.method

    @property
    def train(self) -> str:
        return self.job.train

    @property
    def seed(self) -> int:
        return self.job.seed

    def to_json(self) -> dict[str, Any]:
        about = {name: getattr(self, name) for name in PLAIN}
        own = {"own_validation": self.own_validation.auroc, "needs_validation": self.own_validation.is_needed}
        return {**asdict(self.job), **about, **self.values, **own}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> ResultRow:
        """Of an older version too, which has fewer columns."""
        about: Any = {name: row.get(name) for name in PLAIN}
        return cls(
            job=SweepJob(**{one.name: row[one.name] for one in fields(SweepJob)}),
            own_validation=OwnValidation(auroc=row.get("own_validation"), is_needed=row.get("needs_validation", True)),
            values={name: row.get(name) for name in value_columns()},
            **about,
        )


PLAIN = [one.name for one in fields(ResultRow) if one.name not in ("job", "own_validation", "values")]  # columns too


# raise the number when a metric or an interval comes out otherwise: what was kept of before is measured again
MEASURED_BY = f"2, {BINNING}"


def measure_rows(
    job: SweepJob, condition: Condition, place: Path, prepared: Path | None, seconds: Mapping[str, float | None]
) -> list[ResultRow]:
    """Of one test; kept beside it, since intervals take their time.

    Args:
        prepared: Folder of the test set; None where nobody knows which of the videos without a face it would have had.
        seconds: That training and testing took, as far as they are known.
    """
    table, kept = place / "predictions.parquet", place / "rows.json"
    if kept.is_file() and kept.stat().st_mtime_ns > table.stat().st_mtime_ns:
        before = read_kept(kept)
        if before is not None:
            return before
    run = read_run(place)
    v = videos(run)
    missing = None if prepared is None else list_unscored(run, prepared)
    cost = {fit.id: run.fixed_values.get(fit.id) for fit in FITS}
    cost |= {"coverage": None if missing is None else coverage(run, missing)}
    cost |= {f"{name}_seconds": value for name, value in seconds.items()}
    in_time = localize_in_time(run)
    whole = spread(verdict(run) | (in_time.metrics if in_time is not None else {}))
    value = whole["video_auroc"]
    chance = None if missing is None or value is None else count_missing_as_chance(run, missing, value)
    total = ResultRow(
        job=job,
        test=condition.test,
        degradation=condition.kind,
        severity=condition.severity,
        reals=v.reals,
        fakes=v.fakes,
        map_by=run.map_by,
        parameters=int(run.about["parameters"]) if "parameters" in run.about else None,
        own_validation=run.own_validation,
        values={AS_CHANCE: chance, **whole, **cost},
    )
    rows = [total]
    for row in measure_forgeries(run):
        values = {AS_CHANCE: None, **spread(row.metrics), **cost}
        rows.append(replace(total, forgery=row.method, seen=row.seen, fakes=row.count, values=values))
    write_text(kept, json.dumps({"measured_by": MEASURED_BY, "rows": [row.to_json() for row in rows]}))
    return rows


def read_kept(path: Path) -> list[ResultRow] | None:
    """None where an earlier version wrote them, or they are damaged: they are made again."""
    try:
        content: dict[str, Any] = read_json(path, dict)
        rows: list[dict[str, Any]] = content["rows"]
        pa.Table.from_pylist(rows, pa.schema(list(kinds().items())))
    except (UserError, pa.ArrowException, AttributeError, TypeError, KeyError):
        return None
    if content.get("measured_by") != MEASURED_BY or not rows or any(row.keys() != set(kinds()) for row in rows):
        return None
    return [ResultRow.from_json(row) for row in rows]


def kinds() -> dict[str, pa.DataType]:
    """Columns of the results."""
    found: dict[str, pa.DataType] = {
        n: pa.string() for n in ("method", "train", "test", "degradation", "forgery", "map_by")
    }
    found |= dict.fromkeys(("severity", "parameters", "seed", "reals", "fakes"), pa.int64())
    found |= {"seen": pa.bool_(), "needs_validation": pa.bool_()}
    return found | dict.fromkeys([*value_columns(), "own_validation"], pa.float64())


def value_columns() -> list[str]:
    return [*columns(), AS_CHANCE, "coverage", "train_seconds", "test_seconds", *(fit.id for fit in FITS)]


def write(rows: Sequence[ResultRow], out: Path) -> None:
    """results.parquet and results.json."""
    content = [row.to_json() for row in rows]
    with write_atomically(out / "results.parquet") as part:
        pq.write_table(pa.Table.from_pylist(content, pa.schema(list(kinds().items()))), part)
    write_text(out / "results.json", json.dumps(content, indent=1) + "\n")
