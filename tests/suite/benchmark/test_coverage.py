"""Test videos that no metric covers, and rows that are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from datamodules.runtime.errors import UserError
from suite.benchmark.conditions import Condition
from suite.benchmark.plan import Sweep, SweepJob
from suite.benchmark.results import ResultRow, measure_rows
from suite.run_metrics import read_run, videos
from tests.fixtures.runs import change
from tests.fixtures.sweeps import SECONDS, rows, sweep

__all__ = ["rows", "sweep"]  # fixtures, by their arguments
pytestmark = pytest.mark.usefixtures("few_resamples")


def test_videos_without_a_face_count_as_a_coin_that_is_tossed_and_too_many_fail_the_test(
    sweep: Sweep, rows: list[ResultRow], tmp_path: Path
) -> None:
    assert {row.values["coverage"] for row in rows} == {1.0}
    job = SweepJob(method="plain", train="t", seed=0)
    place = job.test_folder(tmp_path, Condition(test="DFDC"))
    of_others = ["d/real/c40/x,x.mp4,no face,1,test", "e/real/c23/x,x.mp4,no face,1,test"]
    of_training = "d/real/c23/t,t.mp4,no face,1,train"
    missing = [f"d/real/c23/m{i},m.mp4,no face,1,test" for i in range(4)] + ["d/Swap/c23/m,m.mp4,no face,1,test"]
    table = tmp_path / "prepared/skipped.csv"
    table.write_text("\n".join(["video,path,reason,bytes,split", *of_others, of_training, *missing]) + "\n")
    (place / "rows.json").unlink()
    found = measure_rows(job, Condition(test="DFDC"), place, tmp_path / "prepared", SECONDS)[0]
    v = videos(read_run(place))
    assert found.values["coverage"] == 50 / 55
    (place / "rows.json").unlink()
    unknown = measure_rows(job, Condition(test="DFDC"), place, None, SECONDS)[0]  # of a split that was drawn
    assert (unknown.values["coverage"], unknown.values["video_auroc_as_chance"]) == (None, None)
    label = np.concatenate([v.label, [0, 0, 0, 0, 1]])
    known = np.concatenate([np.ones(50), np.zeros(5)])
    score = np.concatenate([v.score, np.zeros(5)])
    half = known[label == 1, None] * known[label == 0]  # pairs that were both scored
    above = np.sign(score[label == 1, None] - score[label == 0]) / 2 + 0.5
    assert found.values["video_auroc_as_chance"] == pytest.approx(np.where(half > 0, above, 0.5).mean())
    table.write_text("video,path,reason,bytes,split\nd/Unheard/c23/m,m.mp4,no face,1,test\n")
    (place / "rows.json").unlink()
    found = measure_rows(job, Condition(test="DFDC"), place, tmp_path / "prepared", SECONDS)[0]
    assert (found.values["coverage"], found.values["video_auroc_as_chance"]) == (
        50 / 51,
        None,
    )  # nobody knows if it is a forgery
    with pytest.raises(UserError, match=r"min_coverage 1\.5: must be a share"):
        replace(sweep, min_coverage=1.5)


def test_a_video_without_a_clip_is_not_covered_and_rows_of_other_rules_are_measured_again(
    rows: list[ResultRow], tmp_path: Path
) -> None:
    job = SweepJob(method="plain", train="t", seed=0)
    place = job.test_folder(tmp_path, Condition(test="DFDC"))
    kept = json.loads((place / "rows.json").read_text())
    measure = partial(measure_rows, job, Condition(test="DFDC"), place, tmp_path / "prepared", SECONDS)
    without = {b"without_clip": b'["d/real/c23/z"]'}
    change(place, lambda table: table.replace_schema_metadata({**table.schema.metadata, **without}))
    assert measure()[0].values["coverage"] == 50 / 51
    (place / "rows.json").write_text(json.dumps(kept))
    assert measure()[0].values["coverage"] == 1.0  # kept, by the same rules
    (place / "rows.json").write_text(json.dumps(kept | {"measured_by": "1"}))
    assert measure()[0].values["coverage"] == 50 / 51
