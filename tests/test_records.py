"""Recorded results: no two of one name say different things, and the README counts people as they were filmed."""

from __future__ import annotations

import json
import re

from tests.conftest import ROOT


def test_a_variant_of_laa_net_has_one_figure_whichever_file_it_is_read_from() -> None:
    found: dict[tuple[str, int], set[float]] = {}
    for file in (ROOT / "benchmarks/results").glob("laa_net*.json"):
        result = json.loads(file.read_text())["result"]
        for variant, row in result.get("variants", {}).items():
            if "spatial_mean" in row:
                found.setdefault((variant, result["epochs"]), set()).add(row["spatial_mean"])
    assert ("two faces blended (BI)", 10) in found
    assert all(len(figures) == 1 for figures in found.values()), found


def test_the_readme_counts_both_people_of_a_pair() -> None:
    sweep = (ROOT / "configs/benchmarks/studio.yaml").read_text()
    made = re.search(r"benchmarks\.cast --out data/cast --train (\d+) --val \d+ --test (\d+)", sweep)
    told = re.search(
        r"(\d+) generated people \((\d+) pairs\) to train on.*?(\d+) real", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert made is not None
    assert told is not None
    pairs, tested = map(int, made.groups())
    assert tuple(map(int, told.groups())) == (2 * pairs, pairs, 2 * tested)
