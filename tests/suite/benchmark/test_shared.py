"""What the page of a sweep says of test sets that share people or videos with training."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from datamodules.leaks.shared import KEY, NOTHING, UNKNOWN, SharedSet
from suite.benchmark.conditions import Condition
from suite.benchmark.page import render_shared
from suite.benchmark.results import ResultRow
from tests.fixtures.runs import change
from tests.fixtures.sweeps import rows, sweep

__all__ = ["rows", "sweep"]  # fixtures, by their arguments
pytestmark = pytest.mark.usefixtures("few_resamples")
ABOUT = {"videos": 50, "looked": 50, "by_people": 9, "people": 3, "by_file": 4, "by_look": 5, "shared": 12}


def lines(rows: list[ResultRow], out: Path) -> list[tuple[str, ...]]:
    section = render_shared(rows, out)
    assert section is not None
    return [tuple(cell.text for cell in row) for row in section.tables[0].rows]


def keep(text: bytes, table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata({**table.schema.metadata, KEY.encode(): text})


def test_each_pair_of_sets_has_a_line_for_all_methods_and_seeds(rows: list[ResultRow], tmp_path: Path) -> None:
    assert lines(rows, tmp_path) == [("t", "DFDC", UNKNOWN)]
    shared = SharedSet(test="DFDC", train="ffpp", **ABOUT)
    for found in ([], [shared.to_json()]):
        text = json.dumps(found).encode()
        for row in rows:
            place = row.job.test_folder(tmp_path, Condition(test="DFDC"))
            change(place, partial(keep, text))
        assert lines(rows, tmp_path) == [("t", "DFDC", str(shared) if found else NOTHING)]
    assert str(shared) == (
        "DFDC: 12 of 50 test videos are in the training on ffpp (9 by 3 people or source clips, 4 as the same file, "
        "5 of 50 by how they look)"
    )
