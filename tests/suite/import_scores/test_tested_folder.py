"""The folder that 'test' filled as scores of a data set some of whose videos have no face."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from callbacks.predictions import SCHEMA
from datamodules import manifest
from datamodules.datasets.table import index
from datamodules.face_data import FaceData
from datamodules.manifest import Video
from datamodules.prepared import checksums
from datamodules.runtime.errors import UserError
from suite.benchmark.coverage import coverage, list_unscored
from suite.import_scores.command import import_scores, tabulate
from suite.run_metrics import read_run

COUNT = 40


@pytest.fixture
def rows(tmp_path: Path) -> list[Video]:
    """All videos of a data set of which 'prepare' skipped the first test video."""
    root, prepared = tmp_path / "root", tmp_path / "prepared"
    root.mkdir()
    prepared.mkdir()
    lines = [f"{i:02}.mp4,{'fake' if i % 2 else 'real'}\n" for i in range(COUNT)]
    (root / "videos.csv").write_text("path,label\n" + "".join(lines))
    for i in range(COUNT):
        (root / f"{i:02}.mp4").touch()
    found, _ = manifest.list_dataset(root, index, None)
    first = next(row for row in found if row.split == "test")
    manifest.write([row for row in found if row != first], prepared / "manifest.csv", checksums.replace_recorded)
    checksums.settle(prepared)
    (prepared / "skipped.csv").write_text(f"video,path,reason,bytes,split\n{first.key},{first.path},no face,0,test\n")
    return [row for row in found if row.split == "test"]


def write_test(run: Path, rows: list[Video]) -> Path:
    run.mkdir()
    table = pa.Table.from_pylist([tabulate(row, 0.5, 0, 0) for row in rows], SCHEMA.with_metadata({"model": "m"}))
    pq.write_table(table, run / "predictions.parquet")
    return run


@pytest.mark.parametrize("has_root", [True, False])
def test_videos_without_a_face_are_left_out_and_counted_as_by_the_test(
    has_root: bool, rows: list[Video], tmp_path: Path
) -> None:
    run, out, prepared = write_test(tmp_path / "run", rows[1:]), tmp_path / "out", tmp_path / "prepared"
    import_scores(run, FaceData(prepared=prepared, root=tmp_path / "root" if has_root else None, index=index), out)
    tested, taken = read_run(run), read_run(out)
    assert json.loads(taken.about["left_out"]) == [rows[0].key]
    assert taken.about["scored"] == f"{len(rows) - 1} of {len(rows)} test videos are scored, the others are left out"
    shares = [coverage(one, list_unscored(one, prepared) or []) for one in (tested, taken)]
    assert shares[0] == shares[1] == 1 - 1 / len(rows)


def test_videos_that_are_scored_as_undecided_are_not_left_out(rows: list[Video], tmp_path: Path) -> None:
    data = FaceData(prepared=tmp_path / "prepared", root=tmp_path / "root", index=index)
    import_scores(write_test(tmp_path / "run", rows[1:]), data, tmp_path / "out", missing="undecided")
    taken = read_run(tmp_path / "out")
    assert len(taken.table["video"]) == len(rows)
    assert list_unscored(taken, tmp_path / "prepared") == []


def test_a_test_with_another_label_than_the_data_set_has_is_refused(rows: list[Video], tmp_path: Path) -> None:
    data = FaceData(prepared=tmp_path / "prepared", root=tmp_path / "root", index=index)
    other = replace(rows[1], label=1 - rows[1].label)
    with pytest.raises(UserError, match=rf"{rows[1].key}: label {other.label}, but {rows[1].label} in the data set"):
        import_scores(write_test(tmp_path / "run", [other, *rows[2:]]), data, tmp_path / "out")


def test_another_video_without_a_score_is_refused_by_the_command_that_can_leave_it_out(
    rows: list[Video], tmp_path: Path
) -> None:
    data = FaceData(prepared=tmp_path / "prepared", root=tmp_path / "root", index=index)
    with pytest.raises(UserError, match=r"1 of .* have no score .*; 'import-scores --missing leave_out' leaves them"):
        import_scores(write_test(tmp_path / "run", rows[2:]), data, tmp_path / "out")
