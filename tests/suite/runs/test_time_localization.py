"""When videos are forged, from a table of predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from callbacks.predictions import SCHEMA
from lightning_modules.metrics.bootstrap import Interval
from suite.benchmark import summary
from suite.benchmark.conditions import Condition
from suite.benchmark.plan import Sweep
from suite.benchmark.results import ResultRow, measure_rows
from suite.run_metrics import read_run
from suite.runs.time_localization import localize_in_time
from tests.fixtures.runs import write_run
from tests.fixtures.sweeps import SECONDS, rows, sweep

__all__ = ["rows", "sweep"]  # fixtures, by their arguments
pytestmark = pytest.mark.usefixtures("few_resamples")
FPS, COUNT = 25.0, 100


def frames(stem: str, label: int, segments: str, forged: range, track: int = 0) -> list[dict[str, Any]]:
    """Each second frame of a video, which scores 0.9 where it is forged."""
    method = "lips" if label else "real"
    names = {"video": f"d/{method}//{stem}", "dataset": "d", "method": method, "compression": "", "stem": stem}
    about = {"fps": FPS, "video_frames": COUNT, "fake_segments": segments, "has_mask": False, "track": track}
    return [
        {
            **names,
            **about,
            "frame": i,
            "label": label,
            "frame_label": int(i in forged),
            "score": 0.9 if i in forged else 0.1,
        }
        for i in range(0, COUNT, 2)
    ]


def written(run: Path, table: list[dict[str, Any]]) -> Path:
    write_run(run)
    about = pq.read_schema(run / "predictions.parquet").metadata
    pq.write_table(pa.Table.from_pylist(table, SCHEMA).replace_schema_metadata(about), run / "predictions.parquet")
    return run


def test_scores_that_rise_in_the_forged_seconds_place_them_to_a_frame(tmp_path: Path) -> None:
    table = frames("a", 1, "1-2", range(26, 50)) + frames("b", 0, "", range(0))
    table += frames("a", 1, "1-2", range(0), track=1)  # the face beside it is real
    table += frames("c", 1, "20f-40f 60f-80f", range(20, 40)) + frames("e", 1, "", range(COUNT))
    found = localize_in_time(read_run(written(tmp_path / "run", table)))
    assert found is not None
    assert (found.videos, found.segments) == (4, 4)
    assert found.step == pytest.approx(2 / FPS)
    # of four segments one is not seen; a proposal begins or ends half way between two frames, here half a frame early
    assert found.metrics["time_ap_at_50"].value == pytest.approx(3 / 4)
    assert found.metrics["time_ap_at_75"].value == pytest.approx(3 / 4)
    # the first one is 1.02 to 1.98 of 1 to 2 s: an IoU of 0.96; the second 19.5 to 39.5 of 20 to 40 frames, 0.951
    assert found.metrics["time_ar_of_10"].value == pytest.approx(3 / 4)


def test_a_sweep_has_columns_and_a_table_of_them(rows: list[ResultRow], sweep: Sweep, tmp_path: Path) -> None:
    assert summary.localization_in_time(rows) is None
    assert {row.values["time_ap_at_50"] for row in rows} == {None}
    [job, *_] = sweep.jobs()
    place = job.test_folder(tmp_path, Condition(test="DFDC"))
    written(place, frames("a", 1, "1-2", range(26, 50)) + frames("b", 0, "", range(0)))
    (place / "rows.json").unlink()
    mine = measure_rows(job, Condition(test="DFDC"), place, tmp_path / "prepared", SECONDS)
    assert mine[0].values["time_ap_at_50"] == mine[0].values["time_ar_of_10"] == 1
    assert mine[1].values["time_ap_at_50"] is None  # of a single forgery
    table = summary.localization_in_time([*rows, *mine])
    assert table is not None
    assert table.head[2:4] == ["AP at IoU 0.5", "AP at IoU 0.75"]
    assert [[cell.text for cell in row[:3]] for row in table.rows] == [[job.method, "DFDC", "1.000"]]


def test_intervals_are_of_people_as_the_table_names_them(tmp_path: Path) -> None:
    def find_interval(name_person: Callable[[int], str | None]) -> Interval:
        table = [
            line | {"person": name_person(i)}
            for i in range(24)
            for line in frames(f"{i:02}", 1, "1-2", range(26, 50) if i % 12 < 6 else range(0))
        ]
        found = localize_in_time(read_run(written(tmp_path / "run", table)))
        assert found is not None
        return found.metrics["time_ar_of_10"]

    of_videos, of_people = find_interval(lambda i: None), find_interval(lambda i: f"p{i % 12}")
    assert of_people.value == of_videos.value == 1 / 2
    assert of_people.high - of_people.low > of_videos.high - of_videos.low


def test_without_segments_there_is_nothing_to_place(tmp_path: Path) -> None:
    assert localize_in_time(read_run(write_run(tmp_path / "run"))) is None
    older = pq.read_table(tmp_path / "run/predictions.parquet").drop_columns(["fps", "video_frames", "fake_segments"])
    pq.write_table(older, tmp_path / "run/predictions.parquet")
    assert localize_in_time(read_run(tmp_path / "run")) is None
