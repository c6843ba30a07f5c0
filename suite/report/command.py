"""The verb that turns runs into a page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from markupsafe import Markup

from datamodules.annotation.annotated_faces import AskedMasks
from datamodules.prepared.contract import Contract, digest
from datamodules.runtime.atomic_files import write_text
from lightning_modules.metrics import bootstrap
from lightning_modules.metrics.bootstrap import Interval
from lightning_modules.metrics.give_aways import LIMIT as LIMIT_OF_TRAITS
from lightning_modules.metrics.registry import METRICS, MapBy, titles
from lightning_modules.metrics.resampling import RESAMPLES
from lightning_modules.own_validation import LIMIT, check_limit
from suite.cli.parser import Parser
from suite.html import plots
from suite.html.render import render
from suite.report.test_sets import TestSet, group_by_test_set
from suite.run_metrics import (
    OF_DATASET,
    OF_FORGERY,
    Forgery,
    OneSet,
    Run,
    format_metrics,
    measure_datasets,
    measure_forgeries,
    name_apart,
    pool_manipulations,
    read_run,
    verdict,
    videos,
)
from suite.runs.give_aways import TraitReport, read_reports
from suite.runs.shared_videos import describe_shared, read_shared
from suite.runs.time_localization import TimeLocalization, localize_in_time

CURVES = ("video_auroc", "frame_auroc")  # of validation, over training


def lead(run: Run, metrics: Mapping[str, Interval], min_validation_auroc: float) -> str:
    """The result in a sentence that does not say more than was measured."""
    own = run.own_validation
    if own.is_below(min_validation_auroc):
        reason = own.describe(min_validation_auroc)
        return f"{run.name}: {reason}: no metric of its test is shown; --min_validation_auroc 0 shows them."
    v = videos(run)
    seen, unseen = pool_manipulations(run, seen=True), pool_manipulations(run, seen=False)
    parts = [f"{name} forgeries {value}" for name, value in (("seen", seen), ("unseen", unseen)) if value is not None]
    first = f"{run.name}: on {v.reals} real and {v.fakes} fake test videos, video AUROC"
    said = f"; {own.describe(min_validation_auroc)}" if own.is_needed else ""
    return f"{first} {'; '.join(parts) if parts else metrics['video_auroc']}{said}."


def speed(run: Run) -> str:
    rates = [row for row in run.history if row.get("train/samples_per_s")]
    if not rates:
        return ""
    last = rates[-1]
    said = f"{float(last['train/samples_per_s']):.1f} samples/s in the last epoch"
    share = last.get("train/waiting")
    return f"{said}, {100 * float(share):.0f} % of the time waiting for data." if share else f"{said}."


def masks_seen(run: Run) -> str:
    """How many masks of fakes a training that had to ask for them saw."""
    kept = json.loads(run.about.get("asked", "{}"))
    if not kept:
        return ""
    asked = AskedMasks.from_json(kept)
    counted = f"Masks of forged faces seen in training: {asked.masks} of a budget of {asked.budget}"
    choice = asked.choice
    if not asked.masks or choice is None:
        return f"{counted}; these weights are of before they were asked for."
    share = f"{100 * asked.masks / choice.of_frames:.2g} %"
    return f"{counted}, of {choice.of_frames} frames ({share}); the choice was {choice.strategy}."


def describe_labels(run: Run) -> str:
    """What was scored elsewhere, the rule for forged sound, and how much of partly forged videos is real."""
    outside = (run.table["label"] == 1) & (bootstrap.frame_labels(run.table) == 0)
    parts = [said for name in ("scored", "audio_fakes") if (said := run.about.get(name, ""))]
    if outside.any():
        partial = np.isin(run.table["video"], run.table["video"][outside])
        count = len(set(run.table["video"][outside]))
        said = f"{count} fake videos forged in parts: {outside.sum()} of their {partial.sum()} frames are outside"
        parts.append(f"{said} the forged segments, and real in the metrics of frames")
    return "; ".join(parts)


def thresholds(run: Run) -> list[tuple[str, str]]:
    """Of videos, as validation on each of several sets alone would have fixed it; the last one is that of all."""
    alone = json.loads(run.about.get("fixed_by_set", "{}"))
    rows = [(name, f"{fixed['video_threshold']:.3f}") for name, fixed in alone.items() if "video_threshold" in fixed]
    if not rows or "video_threshold" not in run.fixed_values:
        return []
    return [*rows, ("together", f"{run.fixed_values['video_threshold']:.3f}")]


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """What the page shows of one run; metrics are texts by their titles."""

    name: str
    lead: str
    own_validation: str
    is_shown: bool
    metrics: dict[str, str]
    reals: int
    any_unseen: bool
    forgeries: list[tuple[Forgery, dict[str, str]]]
    datasets: list[tuple[OneSet, dict[str, str]]]
    dataset_titles: list[str]
    thresholds: list[tuple[str, str]]
    localizes: bool
    map_by: MapBy
    forgery_titles: list[str]
    histogram: Markup
    in_time: TimeLocalization | None
    shared: list[str]  # with its training
    give_aways: dict[str, TraitReport]  # by the name of the set
    panel: str | None  # PNG in base 64
    curves: list[Markup]
    speed: str
    masks_seen: str
    labels: str  # what is to be known of them
    contract: Contract
    commands: str
    config: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One table and the ROC curves of the runs that were tested on the same videos."""

    name: str
    runs: list[RunSection]
    titles: list[str]
    roc: list[Markup]


def tell_commands(run: Run) -> str:
    """Those that make it again; none of scores that were made elsewhere."""
    config = run.path / "config.yaml"
    if not config.is_file():
        return ""
    if not run.about.get("checkpoint"):  # a detector outside the suite
        return f"python -m suite test --config {config} --run NEW_RUN"
    fit = f"python -m suite fit --config {config} --run NEW_RUN\n"
    return f"{fit}python -m suite test --config NEW_RUN/config.yaml --ckpt_path NEW_RUN/checkpoints/best.ckpt"


def describe_run(run: Run, min_validation_auroc: float) -> RunSection:
    """
    Args:
        min_validation_auroc: What it must reach on its own validation for its test to be shown.
    """
    own = run.own_validation
    is_shown = not own.is_below(min_validation_auroc)
    forgeries, metrics = (measure_forgeries(run), verdict(run)) if is_shown else ([], {})
    contract: Contract = json.loads(run.about.get("contract", "{}"))
    panel = run.path / "panels" / "test.png"
    curves = [
        plots.curve(run, {"train/loss": "training loss"}, "Training loss", "loss"),
        plots.curve(run, {f"val/{id}": title for id, title in titles(CURVES).items()}, "Validation", "AUROC"),
    ]
    return RunSection(
        name=run.name,
        lead=lead(run, metrics, min_validation_auroc),
        own_validation=own.describe(min_validation_auroc) or "-",
        is_shown=is_shown,
        metrics=format_metrics(metrics),
        reals=videos(run).reals,
        any_unseen=any(row.seen is False for row in forgeries),
        forgeries=[(row, format_metrics(row.metrics)) for row in forgeries],
        datasets=[(row, format_metrics(row.metrics)) for row in measure_datasets(run)] if is_shown else [],
        dataset_titles=list(titles(OF_DATASET).values()),
        thresholds=thresholds(run),
        localizes=any(row.metrics.keys() - OF_FORGERY for row in forgeries),
        map_by=run.map_by,
        forgery_titles=list(dict.fromkeys(title for row in forgeries for title in format_metrics(row.metrics))),
        histogram=Markup(plots.histogram(run) if is_shown else ""),
        in_time=localize_in_time(run) if is_shown else None,
        shared=describe_shared(read_shared(run.about, run.path)),
        give_aways=read_reports(run.about, run.path),
        panel=base64.b64encode(panel.read_bytes()).decode() if is_shown and panel.is_file() else None,
        curves=[Markup(curve) for curve in curves if curve],
        speed=speed(run),
        masks_seen=masks_seen(run),
        labels=describe_labels(run),
        contract=contract | ({"hash": digest(contract)} if contract else {}),
        commands=tell_commands(run),
        config=yaml.safe_dump(run.config, sort_keys=False),
    )


def compare(test_set: TestSet, sections: list[RunSection]) -> Comparison:
    """
    Args:
        sections: Of its runs.
    """
    shown = [run for run, section in zip(test_set.runs, sections, strict=True) if section.is_shown]
    return Comparison(
        name=test_set.name,
        runs=sections,
        titles=[metric.title for metric in METRICS if any(metric.title in one.metrics for one in sections)],
        roc=[Markup(plot) for plot in plots.roc(shown, test_set.name)] if shown else [],
    )


def report(runs: list[Path], out: Path | None = None, min_validation_auroc: float = LIMIT) -> None:
    """Write one self-contained page about a run, or comparing several."""
    check_limit(min_validation_auroc)
    read = name_apart([read_run(path) for path in runs])
    sections, sets = [describe_run(run, min_validation_auroc) for run in read], group_by_test_set(read)
    page = render(
        "report/page.html",
        title=" and ".join(run.name for run in read) if len(read) < 4 else f"{len(read)} runs",
        runs=sections,
        sets=[
            compare(one, [s for run, s in zip(read, sections, strict=True) if any(run is mine for mine in one.runs)])
            for one in sets
        ],
        resamples=RESAMPLES,
        limit=LIMIT_OF_TRAITS,
    )
    path = out or (runs[0] / "report.html" if len(runs) == 1 else runs[0].resolve().parent / "comparison.html")
    write_text(path, page)
    for section in sections:
        print(section.lead)
    if len(sets) > 1:
        print(f"{len(sets)} test sets, a table for each: {'; '.join(one.name for one in sets)}")
    print(f"report: {path.resolve()}")


def main(argv: list[str]) -> None:
    parser = Parser(
        prog="python -m suite report", description=report.__doc__.splitlines()[0] if report.__doc__ else None
    )
    parser.add_argument("runs", type=Path, nargs="+", help="Folders of runs that were tested.")
    place = "The page; report.html in the run, or comparison.html beside the first of several, without it."
    parser.add_argument("--out", type=Path | None, default=None, help=place)
    limit = (
        "Video AUROC on its own validation below which a run is 'not trained', and its test not shown; 0 is without."
    )
    parser.add_argument("--min_validation_auroc", type=float, default=LIMIT, help=limit)
    project = "W&B project of sweeps: instead of a page, a report is made there; without a key, the file it would be."
    parser.add_argument("--wandb", type=str | None, default=None, help=project)
    arguments = parser.parse_args(argv[1:])
    if arguments.wandb is None:
        report(arguments.runs, arguments.out, arguments.min_validation_auroc)
        return
    from suite.benchmark.wandb_report import wandb_report  # what it needs is an extra

    for sweep in arguments.runs:
        print(f"report: {wandb_report(sweep, arguments.wandb)}")
