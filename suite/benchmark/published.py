"""What others published of the test sets of a sweep, and of single forgeries beside its own numbers of these."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from datamodules.runtime.errors import UserError
from suite.benchmark.results import ALL, ResultRow
from suite.benchmark.summary import Entry, Table, select_clean

PUBLISHED = Path(__file__).with_name("published.csv")
PUBLISHED_BY = ("detector", "source", "trained_on", "unit", "selection")  # what tells its lines apart
Line = tuple[str, ...]
NOTE = (
    "Copied, not measured. A frame AUROC is no video AUROC, training on raw videos or on real ones alone is not "
    "training on c23, and a mean of the best values of a test set is more than any checkpoint reaches: compare them "
    "with the matrix by an anchor that both have."
)
NOTE_OF_OURS = (
    " Lines of this sweep are means over its seeds; a column of one forgery is against all reals of its test."
)


def read_published(wanted: Mapping[str, str]) -> dict[Line, dict[str, float]]:
    """Values by the column that they belong to, of each line.

    Args:
        wanted: Columns, by what they are called in small letters.
    """
    by_line: dict[Line, dict[str, float]] = {}
    with PUBLISHED.open(newline="") as f:
        for row in csv.DictReader(f):
            column = wanted.get(row["test"].lower())
            if column is None:
                continue
            values = by_line.setdefault(tuple(row[name] for name in PUBLISHED_BY), {})
            if column in values:
                raise UserError(f"{PUBLISHED}: two values of {row['detector']} on {column} from {row['source']}")
            values[column] = float(row["auroc"])
    return by_line


def name_forgery(row: ResultRow) -> str:
    return f"{row.test} {row.forgery}"


def measure_ours(rows: Sequence[ResultRow], columns: Sequence[str]) -> dict[Line, dict[str, float]]:
    """Of those columns that are single forgeries: the matrix has the others."""
    values: dict[Line, dict[str, list[float]]] = {}
    for row in select_clean(rows):
        value, column = row.values.get("video_auroc"), name_forgery(row)
        if row.forgery != ALL and column in columns and value is not None:
            line = (row.method, "this sweep", row.train, "video", "validation")
            values.setdefault(line, {}).setdefault(column, []).append(value)
    return {line: {column: mean(found) for column, found in by.items()} for line, by in values.items()}


def tabulate_published(tests: Sequence[str], rows: Sequence[ResultRow] = ()) -> Table | None:
    """
    Args:
        tests: Names of test sets; they are those of cross_dataset.yaml. A forgery is called TEST FORGERY, in any case.
        rows: Of this sweep.
    """
    forgeries = dict.fromkeys(name_forgery(row) for row in rows if row.forgery != ALL)
    known = read_published({name.lower(): name for name in (*forgeries, *tests)})
    columns = [name for name in (*tests, *forgeries) if any(name in values for values in known.values())]
    ours = measure_ours(rows, columns)
    lines = [
        [Entry(text=text) for text in by]
        + [Entry(text=f"{v[t]:.3f}", value=v[t]) if t in v else Entry(text="-") for t in columns]
        for by, v in (ours | known).items()
    ]
    head = ["detector", "source", "trained on", "unit of AUROC", "how it was selected", *columns]
    return Table(head=head, rows=lines, note=NOTE + (NOTE_OF_OURS if ours else "")) if columns else None
