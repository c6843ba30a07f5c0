"""A sweep as a report of Weights & Biases: its run sets, panels and tables."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_json, read_yaml, shorten
from lightning_modules.metrics.registry import titles
from lightning_modules.own_validation import LIMIT
from suite.benchmark.comparisons import Family
from suite.benchmark.results import ResultRow
from suite.benchmark.untrained import find_untrained
from suite.cli.wandb_key import has_key

SHOWN = ("video_auroc", "video_eer", "pixel_auroc", "boundary_auroc")  # of the registry
SPECIFICATION = "wandb_report.json"


def interface() -> Any:
    try:
        import wandb_workspaces.reports.v2 as reports
    except ImportError as error:
        raise UserError("--wandb needs wandb-workspaces: pip install -e '.[wandb]' in the clone") from error
    return reports


def blocks(reports: Any, sweep: Path, project: str, entity: str) -> list[Any]:
    """
    Args:
        reports: The library.
        sweep: Folder that 'benchmark --wandb' filled.
        entity: Whose the project is; empty without an account.
    """
    plan = read_plan(sweep / "sweep.yaml")
    whose = {"project": project, "entity": entity} if entity else {}
    with names_file(sweep / "results.json") as path:
        rows = [ResultRow.from_json(row) for row in read_json(path, list)]
    unlearned = sorted({job.method for job in find_untrained(rows, plan.get("min_validation_auroc", LIMIT))})

    tested = "JobType = 'test'"

    def sets(*filters: str) -> list[Any]:
        """One for each method; of tests, for each all of whose trainings learned their own task."""
        found = []
        for name in plan["methods"]:
            if name in unlearned and tested in filters:
                continue
            chosen = " and ".join(
                [f"Config('sweep_method') = {json.dumps(name)}", f"Group = {json.dumps(sweep.name)}", *filters]
            )
            found.append(reports.Runset(name=name, filters=chosen, **whose))
        return found

    clean = (tested, "Config('severity') = 0")
    out: list[Any] = [
        reports.H1("Matrix"),
        reports.P("Video AUROC; checkpoints were chosen on the validation split of the training data."),
        reports.MarkdownBlock((sweep / "table.md").read_text()),
        *([reports.P(f"Not in the panels of tests, since not trained: {'; '.join(unlearned)}.")] if unlearned else []),
        reports.PanelGrid(
            runsets=sets(*clean),
            panels=[
                reports.BarPlot(title=title, metrics=[f"test/{id}"], groupby="sweep_test", layout=place(reports, i))
                for i, (id, title) in enumerate(titles(SHOWN).items())
            ],
        ),
        reports.H1("ROC"),
        reports.PanelGrid(
            runsets=sets(*clean),
            panels=[
                reports.CustomChart(
                    query={"summaryTable": {"tableKey": "test/roc_table"}},
                    chart_name="wandb/area-under-curve/v0",
                    chart_fields={"x": "fpr", "y": "tpr"},
                )
            ],
        ),
        reports.H1("Faces and where the forgery is said to be"),
        reports.PanelGrid(runsets=sets(*clean), panels=[reports.MediaBrowser(media_keys=["test/panels"])]),
        reports.H1("Training"),
        reports.PanelGrid(
            runsets=sets("JobType = 'fit'"),
            panels=[
                reports.LinePlot(title="validation", y=["val/video_auroc"], layout=place(reports, 0)),
                reports.LinePlot(title="loss", y=["train/loss"], layout=place(reports, 1)),
            ],
        ),
    ]
    if plan["degradations"]["kinds"]:
        out.append(reports.H1("Robustness"))
    for kind in plan["degradations"]["kinds"]:
        curve = reports.ScatterPlot(
            title=kind, x=reports.Config("severity"), y=reports.SummaryMetric("test/video_auroc"), running_ymean=True
        )
        chosen = sets(tested, f"Config('degradation') = {json.dumps(kind)}")
        out.append(reports.PanelGrid(runsets=chosen, panels=[curve]))
    with names_file(sweep / "claims.json") as path:
        for family in read_json(path, list):
            out += claims_of(reports, Family.from_json(family))
    return out


def claims_of(reports: Any, family: Family) -> list[Any]:
    """A heading, the test sets, and a table."""
    lines = ["| claim | gain | p after Holm | smallest resolvable gain |", "| --- | --- | --- | --- |"]
    for one in family.claims:
        gain = f"{one.gain.value:+.3f} [{one.gain.low:.3f}, {one.gain.high:.3f}]"
        lines.append(f"| {one.ours} over {one.theirs} | {gain} | {one.adjusted:.3g} | {one.resolvable:.3f} |")
    head = [reports.H1(f"Who is better: {family.about}"), reports.P("; ".join(family.tests))]
    return [*head, reports.MarkdownBlock("\n".join(lines))]


def read_plan(path: Path) -> dict[str, Any]:
    plan = read_yaml(path, dict)
    limit = plan.get("min_validation_auroc", LIMIT)
    kinds = plan["degradations"].get("kinds") if isinstance(plan.get("degradations"), dict) else None
    if not isinstance(plan.get("methods"), dict) or not isinstance(kinds, list) or type(limit) not in (int, float):
        raise UserError(f"{path}: must have methods, degradations with their kinds, and min_validation_auroc")
    return plan


@contextmanager
def names_file(path: Path) -> Iterator[Path]:
    """What is read from it within and does not fit is said with its name."""
    try:
        yield path
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, UserError):
            raise
        said = f"{type(error).__name__}: {shorten(error)}"
        raise UserError(f"{path}: is not what 'benchmark' wrote ({said}); call it again") from error


def place(reports: Any, i: int) -> Any:
    """Three panels of a line."""
    return reports.Layout(x=8 * (i % 3), y=6 * (i // 3), w=8, h=6)


def wandb_report(sweep: Path, project: str) -> str:
    """Saves the report, or without a key writes what it would be; says where."""
    if not (sweep / "claims.json").is_file():
        raise UserError(f"{sweep}: is no folder that 'benchmark' has filled")
    reports, sweep = interface(), sweep.resolve()
    is_online = has_key() and os.environ.get("WANDB_MODE", "online") == "online"
    try:
        entity = (wandb.Api().default_entity or "") if is_online else ""
        content = blocks(reports, sweep, project, entity)
        report = reports.Report(
            project=project, entity=entity, title=f"Sweep {sweep.name}", width="fluid", blocks=content
        )
        if entity:
            report.save()
            return str(report.url)
    except (wandb.errors.Error, OSError) as error:
        raise UserError(f"W&B: {error}; with WANDB_MODE=offline the specification is written instead") from error
    path = sweep / SPECIFICATION
    write_text(path, json.dumps(json.loads(report._to_model().model_dump_json(by_alias=True)), indent=1) + "\n")
    said = f"{path} (nothing was published: call it again on a machine with a W&B key)"
    runs = sorted(sweep.glob("runs/**/wandb/offline-run-*"))
    if runs:
        write_text(sweep / "sync.sh", "".join(f"wandb sync {shlex.quote(str(run))}\n" for run in runs))
        said += f"; {len(runs)} offline runs, to be published by: sh {shlex.quote(str(sweep / 'sync.sh'))}"
    return said
