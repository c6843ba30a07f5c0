"""Which trainings of a sweep learned their own task: of the others it shows that, and no metric of a test."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from lightning_modules.own_validation import METRIC, OwnValidation, format_auroc
from suite.benchmark.plan import SweepJob
from suite.benchmark.results import columns
from suite.benchmark.summary import Entry, Row, Table, names, select_totals

TRAINING = ("method", "train", "seed")


def read_own_validation(row: Row) -> OwnValidation:
    """Unknown in rows that do not say."""
    return OwnValidation(auroc=row.get("own_validation"), is_needed=row.get("needs_validation", True))


def is_untrained(row: Row, limit: float) -> bool:
    return read_own_validation(row).is_below(limit)


def training_of(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in TRAINING)


def find_untrained(rows: Iterable[Row], limit: float) -> set[tuple[Any, ...]]:
    """Method, training set and seed of each training that did not learn its own task."""
    return {training_of(row) for row in rows if is_untrained(row, limit)}


def withhold(rows: Iterable[Mapping[str, Any]], limit: float) -> list[dict[str, Any]]:
    """The rows, without the metrics of tests whose training did not learn its own task."""
    nothing = dict.fromkeys([*columns(), "video_auroc_as_chance"])
    return [{**row, **nothing} if is_untrained(row, limit) else dict(row) for row in rows]


def describe(rows: Sequence[Row], limit: float) -> str:
    """Of the seeds of one method on one training set, none of which learned its own task."""
    found = sorted(one.auroc for row in rows if (one := read_own_validation(row)).auroc is not None)
    if not found:
        return ""
    span = (
        format_auroc(found[0])
        if format_auroc(found[0]) == format_auroc(found[-1])
        else f"{format_auroc(found[0])} to {format_auroc(found[-1])}"
    )
    return f"not trained (own validation {span}, needs {limit:.2f})"


def trainings(rows: Sequence[Row], limit: float) -> Table | None:
    """A line for each method and training set: what its seeds reach on their own validation."""
    mine = [row for row in select_totals(rows) if read_own_validation(row).is_needed]
    seeds = {training_of(row): read_own_validation(row) for row in mine}
    if not seeds:
        return None
    out = []
    for method, train in names(mine, "method", "train"):
        ours = [(seed, one) for (name, trained_on, seed), one in seeds.items() if (name, trained_on) == (method, train)]
        values = [f"{'unknown' if one.auroc is None else format_auroc(one.auroc)} (seed {seed})" for seed, one in ours]
        below = sum(one.is_below(limit) for _, one in ours)
        is_unknown = any(one.auroc is None for _, one in ours)
        state = f"not trained: {below} of {len(ours)}" if below else "own validation unknown" if is_unknown else ""
        out.append([Entry(text=text) for text in (method, train, ", ".join(values), state)])
    note = (
        f"Video AUROC on the validation split of each training's own data, of the checkpoint that was tested: what it "
        f"was trained on, for instance blended faces. Below {limit:.2f} a training has not learned its own task, and "
        "no metric of its tests is shown or compared. First stages, and masks that look at nothing, have none."
    )
    return Table(head=["method", "trained on", "own validation", ""], rows=out, note=note)


def read_curves(rows: Sequence[Row], out: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Own validation by epoch, mean over seeds: its points for each method, by training set.

    Args:
        out: Folder of the sweep, with its trainings.
    """
    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for method, train, seed in dict.fromkeys(training_of(row) for row in rows):
        history = SweepJob(method=method, train=train, seed=seed).run(out) / "metrics.csv"
        if not history.is_file():
            continue
        with history.open(newline="") as f:
            for line in csv.DictReader(f):
                if line.get(METRIC):
                    epochs = found.setdefault(train, {}).setdefault(method, {})
                    epochs.setdefault(int(line["epoch"]) + 1, []).append(float(line[METRIC]))
    return {
        train: {method: [(epoch, mean(values)) for epoch, values in epochs.items()] for method, epochs in lines.items()}
        for train, lines in found.items()
    }
