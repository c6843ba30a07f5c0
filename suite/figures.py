"""The numbers of a report, computed from a prediction table."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from datamodules.errors import Refused
from lightning_modules.metrics import bootstrap, functional
from lightning_modules.metrics.bootstrap import Interval, Videos, auroc_interval, figure, interval, resampled
from lightning_modules.metrics.functional import Pooled


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run left behind."""

    path: Path
    table: dict[str, Any]  # columns of predictions.parquet
    about: dict[str, str]
    config: dict[str, Any]
    history: list[dict[str, str]]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def threshold(self) -> float:
        return float(self.about["video_threshold"])

    @property
    def temperature(self) -> float | None:
        """That validation found, if it did."""
        is_fixed = self.about.get("fixes_thresholds", "True") == "True"
        return (float(self.about.get("video_temperature", 0)) or None) if is_fixed else None


def read_run(path: Path) -> Run:
    table_path = path / "predictions.parquet"
    if not table_path.is_file():
        best = path / "checkpoints" / "best.ckpt"
        command = f"python -m suite test --config {path / 'config.yaml'} --ckpt_path {best}"
        raise Refused(f"{table_path}: no such file; run '{command}' first")
    table = pq.read_table(table_path)
    if not len(table):
        raise Refused(f"{table_path}: has no rows")
    about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    config = path / "config.yaml"
    history: list[dict[str, str]] = []
    if (path / "metrics.csv").is_file():
        with (path / "metrics.csv").open(newline="") as f:
            history = list(csv.DictReader(f))
    settings = yaml.safe_load(config.read_text()) if config.is_file() else {}
    return Run(path=path, table=columns, about=about, config=settings, history=history)


def kinds(run: Run) -> NDArray[np.str_]:
    """Data set and manipulation of each row: the same word may mean other things in another data set."""
    return np.array([f"{d}/{m}" for d, m in zip(run.table["dataset"], run.table["method"], strict=True)])


def videos(run: Run) -> Videos:
    return bootstrap.videos(run.table, kinds(run), cast(Pooled, run.about.get("mean_of", "score")))


def verdict(run: Run) -> dict[str, Interval]:
    """The row of a run in the first table."""
    v = videos(run)
    draws = resampled(v)
    out = {"video AUROC": auroc_interval(v, draws)}
    out["video AP"] = interval(functional.average_precision, v, draws)
    out["video EER"] = interval(functional.eer, v, draws)
    out["balanced accuracy"] = interval(lambda s, y: functional.balanced_accuracy(s, y, run.threshold), v, draws)
    for i, name in enumerate(("false alarms at the threshold", "found at the threshold")):
        out[name] = interval(lambda s, y, i=i: functional.rates(s, y, run.threshold)[i], v, draws)  # type: ignore[misc]
    out["TPR at 1 % FPR"] = Interval(value=figure(functional.tpr_at_fpr, v))
    out["ECE"] = Interval(value=figure(functional.ece, v))
    if run.temperature is not None:
        at = run.temperature
        out["ECE after temperature scaling"] = Interval(
            value=figure(lambda s, y: functional.ece(functional.cooled(s, at), y), v)
        )
    out["Brier"] = interval(functional.brier, v, draws)
    frames = functional.by_frame(*bootstrap.columns(run.table))
    out["frame AUROC"] = Interval(value=float(functional.auroc(frames.score, frames.label)))
    return out | localization(run, np.ones(len(run.table["label"]), bool))


def localization(run: Run, chosen: NDArray[np.bool_]) -> dict[str, Interval]:
    return bootstrap.localization(run.table, chosen, bootstrap.pixel_threshold(run.about))


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """A row of the table of manipulations: each against all reals."""

    method: str
    seen: bool | None  # None where it is not known what was trained on
    count: int
    auroc: Interval
    found: float  # share above the validation threshold
    pixels: dict[str, Interval]


def by_forgery(run: Run) -> list[Forgery]:
    v = videos(run)
    trained = set(json.loads(run.about["trained_on"])) if run.about.get("trained_on") else None
    rows, kind = [], kinds(run)
    one_set = len(set(run.table["dataset"])) == 1
    for method in sorted(set(v.method[v.label == 1])):
        mine = v.of((v.method == method) | (v.label == 0))
        rows.append(
            Forgery(
                method=method.split("/", 1)[1] if one_set else method,
                seen=method in trained if trained else None,
                count=int((mine.label == 1).sum()),
                auroc=auroc_interval(mine, resampled(mine)),
                found=float((mine.score[mine.label == 1] >= run.threshold).mean()),
                pixels=localization(run, (kind == method) | (run.table["label"] == 0)),
            )
        )
    return sorted(rows, key=lambda row: (row.seen is False, row.method))


def pooled(run: Run, seen: bool) -> Interval | None:
    """All manipulations that were trained on, or all others, against the reals."""
    v = videos(run)
    trained = set(json.loads(run.about.get("trained_on", "[]")))
    chosen = np.isin(v.method, list(trained)) if seen else ~np.isin(v.method, list(trained))
    mine = v.of((v.label == 0) | chosen)
    return auroc_interval(mine, resampled(mine)) if trained and (mine.label == 1).any() else None
