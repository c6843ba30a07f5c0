"""60 damaged files through detect, prepare and doctor: each is judged or refused, and none ends them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.record import RESULTS
from benchmarks.studies.damaged_clips import CODINGS, KINDS, make_cases
from benchmarks.studies.fuzz_media import VERBS, Result, Verbs, shows_damage
from tests.fixtures.detecting import small

__all__ = ["small"]  # a fixture


def test_no_damaged_file_ends_a_verb_and_of_h264_and_mpeg4_hardly_one_is_judged_without_a_word_on_damage(
    small: Path, tmp_path: Path
) -> None:
    run, count, silent = Verbs(small, 6).run, Counter[str](), 0
    for i, case in enumerate(make_cases(tmp_path / "clips", 60, 1, 6)):
        for verb in VERBS:
            result: Result = run(verb, case.path, tmp_path / f"{i}_{verb}")
            assert result.outcome in ("judged", "refused"), (case, verb, result)
            count[result.outcome] += 1
            if result.outcome == "judged" and case.coding in ("H.264", "MPEG-4"):
                silent += not result.says_damage and shows_damage(case)  # some errors are bits that make sense
    assert silent <= 3
    assert min(count["judged"], count["refused"]) > 20  # of 180: neither is all there is


def test_the_same_seed_damages_alike_and_every_kind_meets_every_coding(tmp_path: Path) -> None:
    cases = list(make_cases(tmp_path / "a", 24, 3, 6))
    again = list(make_cases(tmp_path / "b", 24, 3, 6))
    assert [one.path.read_bytes() for one in cases] == [one.path.read_bytes() for one in again]
    assert len({(one.coding, one.kind, one.near_ends) for one in cases}) == 2 * len(CODINGS) * len(KINDS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_recorded_run_had_no_crash_no_hang_and_no_traceback(verb: str) -> None:
    result = json.loads((RESULTS / "fuzz.json").read_text())["result"]
    rows = [row for row in result["verbs"] if row["verb"] == verb]
    assert sum(row["files"] for row in rows) == result["files"]
    assert {row["codec"] for row in rows} == set(CODINGS)
    assert sum(row[name] for row in rows for name in ("crash", "hang", "traceback")) == 0
    assert result["failures"] == []
