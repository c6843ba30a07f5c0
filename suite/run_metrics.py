"""The numbers of a report, computed from a prediction table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import types

from datamodules.leaks.shared import KEY as SHARED_WITH_TRAINING
from datamodules.loading.without_clip import KEY as WITHOUT_CLIP
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import check_kind, read_rows, read_yaml, shorten, show
from lightning_modules.metrics import bootstrap, functional, registry
from lightning_modules.metrics.bootstrap import Interval, Videos, auroc_interval, measure, resample
from lightning_modules.metrics.functional import Pooled
from lightning_modules.metrics.registry import METRICS, MapBy, MapOf, select_fixed
from lightning_modules.own_validation import KEY as OWN_VALIDATION
from lightning_modules.own_validation import NOT_NEEDED, UNKNOWN, OwnValidation
from suite.cli.suggest import suggest_file

OF_FORGERY = ("video_auroc", "video_tpr_at_validation")  # and all of pixels


def is_text(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind)


COLUMNS: dict[str, Callable[[pa.DataType], bool]] = {
    **dict.fromkeys(("video", "dataset", "method", "compression", "stem"), is_text),
    **dict.fromkeys(("track", "frame", "label"), types.is_integer),
    "score": types.is_floating,
    "has_mask": types.is_boolean,
}
LATER = {"frame_label": types.is_integer}  # which older tables lack
# likewise, or null
OPTIONAL = {"fps": types.is_floating, "video_frames": types.is_integer, "fake_segments": is_text, "person": is_text}
MAPS = {"forged": types.is_list, "other": types.is_list}  # null from methods that do not localize
LEFT_OUT = "left_out"  # test videos without a score, where who scored them says which
STORED_JSON: dict[str, type] = {
    **{"contract": dict, "trained_on": list, "asked": dict, "fixed_by_set": dict, "give_aways": dict},
    **{SHARED_WITH_TRAINING: list, LEFT_OUT: list, WITHOUT_CLIP: list},
}
OF_DATASET = ("video_auroc", "video_ap", "video_fpr_at_validation", "video_tpr_at_validation")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run left behind."""

    path: Path
    table: dict[str, NDArray[Any]]  # columns of predictions.parquet
    about: dict[str, str]
    config: object  # as its file has it
    history: list[dict[str, str]]
    parts: int = 1  # of the path, from its end, that tell it apart from others

    @property
    def name(self) -> str:
        return "/".join(self.path.resolve().parts[-self.parts :])

    @property
    def map_of(self) -> MapOf:
        """What the method's map shows."""
        return cast(MapOf, self.about.get("map_of", "region"))

    @property
    def map_by(self) -> MapBy:
        """What makes it."""
        return cast(MapBy, self.about.get("map_by", "head"))

    @property
    def fixed_values(self) -> dict[str, float]:
        """By validation, as far as it has."""
        return select_fixed(self.about)

    @property
    def own_validation(self) -> OwnValidation:
        return OwnValidation.from_text(self.about.get(OWN_VALIDATION))


def read_run(path: Path) -> Run:
    table_path = path / "predictions.parquet"
    if not path.is_dir():
        raise UserError(f"{path}: no such folder{suggest_file(str(path))}")
    if not table_path.is_file():
        best = path / "checkpoints" / "best.ckpt"
        command = f"python -m suite test --config {path / 'config.yaml'} --ckpt_path {best}"
        raise UserError(f"{table_path}: no such file; run '{command}' first")
    try:
        table = pq.read_table(table_path, page_checksum_verification=True)
        table.validate(full=True)
        about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{table_path}: is damaged, or no Parquet file ({shorten(error)}); test again") from error
    check_columns(table, table_path)
    if not len(table):
        raise UserError(f"{table_path}: has no rows")
    check_about(about, table_path)
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    refuse_non_finite(columns, table_path)
    bootstrap.check_bins(columns, about, table_path)
    config = path / "config.yaml"
    history: list[dict[str, str]] = []
    if (path / "metrics.csv").is_file():
        history = read_history(path / "metrics.csv")
    settings = read_yaml(config, dict) if config.is_file() else {}
    return Run(path=path, table=columns, about=about, config=settings, history=history)


def read_history(path: Path) -> list[dict[str, str]]:
    """Rows of numbers, where they are any, of a training."""
    rows = []
    for line, row in read_rows(path, ["step"]):
        for name, text in row.items():
            try:
                int(text) if name == "step" else float(text or 0)
            except ValueError as error:
                raise UserError(f"{path}, line {line}: {name} {show(text)}: must be a number") from error
        rows.append(row)
    return rows


def name_apart(runs: Sequence[Run]) -> list[Run]:
    """The runs, with as much of their paths in their names as it takes."""
    longest = max(len(run.path.resolve().parts) for run in runs)
    for parts in range(1, longest):
        named = [replace(run, parts=parts) for run in runs]
        if len({run.name for run in named}) == len({run.path.resolve() for run in runs}):
            return named
    return list(runs)


def check_columns(table: pa.Table, path: Path) -> None:
    for name, is_kind in {**COLUMNS, **LATER, **OPTIONAL, **MAPS}.items():
        at = table.schema.get_field_index(name)
        if at < 0 and name in {**LATER, **OPTIONAL}:
            continue
        may_be_null = name in {**MAPS, **OPTIONAL}
        if at < 0 or not is_kind(table.schema.field(at).type) or (not may_be_null and table[name].null_count):
            found = (
                "missing" if at < 0 else f"of type {table.schema.field(at).type}, with {table[name].null_count} nulls"
            )
            raise UserError(f"{path}: column {name!r} is {found}; is it no table of predictions?")


def check_about(about: Mapping[str, str], path: Path) -> None:
    """What a test writes beside its table: numbers, and JSON."""
    for name, kind in STORED_JSON.items():
        if name in about:
            try:
                content = json.loads(about[name])
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}: {name}: is damaged ({shorten(error)}); test again") from error
            check_kind(content, kind, f"{path}: {name}")
    numbers = {name: about[name] for name in ("parameters", *(fit.id for fit in registry.FITS)) if name in about}
    if about.get(OWN_VALIDATION) not in (None, UNKNOWN, NOT_NEEDED):
        numbers[OWN_VALIDATION] = about[OWN_VALIDATION]
    for name, text in numbers.items():
        try:
            int(text) if name == "parameters" else float(text)
        except ValueError as error:
            raise UserError(f"{path}: {name} {show(text)}: must be a number; test again") from error
    if not 0 <= float(numbers.get(OWN_VALIDATION, 0)) <= 1:
        raise UserError(f"{path}: {OWN_VALIDATION} {show(numbers[OWN_VALIDATION])}: must be from 0 to 1; test again")


def refuse_non_finite(columns: Mapping[str, NDArray[Any]], path: Path) -> None:
    wrong = np.flatnonzero(~np.isfinite(columns["score"].astype(float)))
    if len(wrong):
        video, frame, score = (columns[name][wrong[0]] for name in ("video", "frame", "score"))
        raise UserError(f"{path}: {video}, frame {frame}: score {score} must be finite; test again")


def kinds(run: Run) -> NDArray[np.str_]:
    """Data set and manipulation of each row: the same word may mean other things in another data set."""
    return np.array([f"{d}/{m}" for d, m in zip(run.table["dataset"], run.table["method"], strict=True)])


def videos(run: Run) -> Videos:
    return bootstrap.videos(run.table, kinds(run), cast(Pooled, run.about.get("score_pooling", "score")))


def verdict(run: Run) -> dict[str, Interval]:
    """Every metric by its id; not a number where it has no meaning for this run."""
    v = videos(run)
    draws = resample(v)
    frames = functional.pool_by_frame(*bootstrap.columns({**run.table, "label": bootstrap.frame_labels(run.table)}))
    pixels = localization(run, np.ones(len(run.table["label"]), bool))
    out = {}
    for metric in METRICS:
        if metric.unit == "video":
            out[metric.id] = measure(metric, v, run.fixed_values, draws)
        elif metric.unit == "frame":
            value = registry.evaluate_scores(metric, run.fixed_values, frames.score, frames.label)
            out[metric.id] = Interval(value=float(value))
        else:
            out[metric.id] = pixels.get(metric.id, Interval(value=float("nan")))
    return out


def format_metrics(metrics: Mapping[str, Interval]) -> dict[str, str]:
    """Titles and texts of those that are numbers."""
    return {registry.get(id).title: str(one) for id, one in metrics.items() if not np.isnan(one.value)}


def localization(run: Run, chosen: NDArray[np.bool_]) -> dict[str, Interval]:
    return bootstrap.localization(run.table, chosen, run.fixed_values, run.map_of)


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """A row of the table of manipulations: each against all reals."""

    method: str
    seen: bool | None  # None where it is not known what was trained on
    count: int
    metrics: dict[str, Interval]  # by their ids


def measure_forgeries(run: Run) -> list[Forgery]:
    v = videos(run)
    trained = set(json.loads(run.about["trained_on"])) if run.about.get("trained_on") else None
    rows, kind = [], kinds(run)
    one_set = len(set(run.table["dataset"])) == 1
    for method in sorted(set(v.method[v.label == 1])):
        mine = v.select((v.method == method) | (v.label == 0))
        draws = resample(mine)
        of_videos = {id: measure(registry.get(id), mine, run.fixed_values, draws) for id in OF_FORGERY}
        rows.append(
            Forgery(
                method=method.split("/", 1)[1] if one_set else method,
                seen=method in trained if trained else None,
                count=mine.fakes,
                metrics=of_videos | localization(run, (kind == method) | (run.table["label"] == 0)),
            )
        )
    return sorted(rows, key=lambda row: (row.seen is False, row.method))


def pool_manipulations(run: Run, seen: bool) -> Interval | None:
    """All manipulations that were trained on, or all others, against the reals."""
    v = videos(run)
    trained = set(json.loads(run.about.get("trained_on", "[]")))
    chosen = np.isin(v.method, list(trained)) if seen else ~np.isin(v.method, list(trained))
    mine = v.select((v.label == 0) | chosen)
    return auroc_interval(mine, resample(mine)) if trained and mine.fakes else None


@dataclass(frozen=True, kw_only=True)
class OneSet:
    """A row of the table of data sets: its fakes against its own reals."""

    name: str
    reals: int
    fakes: int
    metrics: dict[str, Interval]  # by their ids


def measure_datasets(run: Run) -> list[OneSet]:
    """None where there is one data set, of which all other tables are."""
    v = videos(run)
    home = np.array([kind.split("/", 1)[0] for kind in v.method])
    out = []
    for name in sorted(set(home)) if len(set(home)) > 1 else ():
        mine = v.select(home == name)
        draws = resample(mine)
        metrics = {id: measure(registry.get(id), mine, run.fixed_values, draws) for id in OF_DATASET}
        out.append(OneSet(name=name, reals=mine.reals, fakes=mine.fakes, metrics=metrics))
    return out
