"""Which trainings of a sweep learned their own task: of the others it shows that, and no metric of a test."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

from lightning_modules.own_validation import METRIC, find_needed, format_auroc
from suite.benchmark.plan import SweepJob
from suite.benchmark.results import AS_CHANCE, ResultRow, columns
from suite.benchmark.summary import Entry, Table, select_totals


def find_untrained(rows: Iterable[ResultRow], limit: float) -> set[SweepJob]:
    """Each training that did not learn its own task."""
    return {row.job for row in rows if row.own_validation.is_below(limit)}


def withhold(rows: Iterable[ResultRow], limit: float) -> list[ResultRow]:
    """The rows, without the metrics of tests whose training did not learn its own task."""
    nothing = dict.fromkeys([*columns(), AS_CHANCE])
    return [
        replace(row, values={**row.values, **nothing}) if row.own_validation.is_below(limit) else row for row in rows
    ]


def describe(rows: Sequence[ResultRow], limit: float) -> str:
    """Of the seeds of one method on one training set, none of which learned its own task."""
    found = sorted(row.own_validation.auroc for row in rows if row.own_validation.auroc is not None)
    if not found:
        return ""
    span = (
        format_auroc(found[0])
        if format_auroc(found[0]) == format_auroc(found[-1])
        else f"{format_auroc(found[0])} to {format_auroc(found[-1])}"
    )
    return f"not trained (own validation {span}, needs {limit:.2f})"


def trainings(rows: Sequence[ResultRow], limit: float) -> Table | None:
    """A line for each method and training set: what its seeds reach on their own validation."""
    mine = [row for row in select_totals(rows) if row.own_validation.is_needed]
    seeds = {row.job: row.own_validation for row in mine}
    if not seeds:
        return None
    out, needed = [], find_needed(limit)
    for method, train in dict.fromkeys((job.method, job.train) for job in seeds):
        ours = [(job.seed, one) for job, one in seeds.items() if (job.method, job.train) == (method, train)]
        values = [f"{'unknown' if one.auroc is None else format_auroc(one.auroc)} (seed {seed})" for seed, one in ours]
        below = sum(one.is_below(needed) for _, one in ours)
        is_unknown = any(one.auroc is None for _, one in ours)
        state = f"not trained: {below} of {len(ours)}" if below else "own validation unknown" if is_unknown else ""
        out.append([Entry(text=text) for text in (method, train, ", ".join(values), state)])
    note = (
        f"Video AUROC on the validation split of each training's own data, of the checkpoint that was tested: what it "
        f"was trained on, for instance blended faces. Below {needed:.2f} a training has not learned its own task, and "
        f"{'no metric of its tests is shown or compared' if limit else 'its tests are shown all the same'}. "
        "First stages and constant baselines have none."
    )
    return Table(head=["method", "trained on", "own validation", "state"], rows=out, note=note)


def read_curves(rows: Sequence[ResultRow], out: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Own validation by epoch, mean over seeds: its points for each method, by training set.

    Args:
        out: Folder of the sweep, with its trainings.
    """
    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for job in dict.fromkeys(row.job for row in rows):
        history = job.run(out) / "metrics.csv"
        if not history.is_file():
            continue
        with history.open(newline="") as f:
            for line in csv.DictReader(f):
                if line.get(METRIC):
                    epochs = found.setdefault(job.train, {}).setdefault(job.method, {})
                    epochs.setdefault(int(line["epoch"]) + 1, []).append(float(line[METRIC]))
    return {
        train: {method: [(epoch, mean(values)) for epoch, values in epochs.items()] for method, epochs in lines.items()}
        for train, lines in found.items()
    }
