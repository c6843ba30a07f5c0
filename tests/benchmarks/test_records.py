"""What the pages and sweeps say of the studio is so."""

from __future__ import annotations

import inspect
import re
from typing import get_args

from benchmarks.studies.cast import cast
from datamodules.studio.build import Plan, Size
from datamodules.studio.forgeries.all import FORGERIES
from tests.conftest import ROOT


def test_no_sweep_and_no_default_asks_for_more_pairs_than_the_studio_has() -> None:
    people = Plan(size="medium", seed=0, difficulty=0).cast()
    texts = {path: path.read_text() for path in (ROOT / "benchmarks").rglob("*.yaml")}
    asked = [
        dict(re.findall(r"--(train|val|test) (\d+)", line))
        for text in texts.values()
        for line in text.splitlines()
        if "benchmarks.studies.cast" in line
    ]
    assert any(asked)
    defaults = {name: p.default for name, p in inspect.signature(cast).parameters.items()}
    for counts in asked:
        for split, mine in people.items():
            assert 0 < 2 * int({**defaults, **counts}[split]) <= len(mine)


def test_the_page_of_the_studio_counts_the_people_and_names_the_forgeries_of_the_studio() -> None:
    text = (ROOT / "docs/studio.md").read_text()
    for size in get_args(Size):
        plan = Plan(size=size, seed=0, difficulty=0)
        counts = {split: 2 * len(pairs) for split, pairs in plan.splits().items()}
        people = f"{sum(counts.values())}: {counts['train']}, {counts['val']}, {counts['test']}"
        assert f"| `{size}` | {people} | {plan.frames} |" in text
    table = text.split("| forgery | what is done |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(FORGERIES)
