"""One table of all files that were examined into a folder."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from datamodules.runtime.errors import UserError
from suite.detect.analyzer import DetectSettings
from suite.detect.command import detect
from suite.detect.inputs import list_inputs
from suite.detect.reasons import join_reasons
from suite.detect.table import COLUMNS, TABLE, FileRow, ResultTable
from tests.fixtures.detecting import EASY, small
from tests.fixtures.head_clips import Frames, head, write

__all__ = ["head", "small"]  # fixtures

SETTINGS = DetectSettings(frames=4, usable=EASY, device="cpu")


def read(out: Path) -> list[dict[str, str]]:
    with (out / TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_file_has_a_row_and_a_later_call_replaces_its_own(
    head: Frames, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("out")
    write(tmp_path / "=1+1.mp4", head)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match="1 of 2 files"):
        detect([Path("=1+1.mp4"), tmp_path / "broken.mp4"], [small], out, False, SETTINGS)
    good, broken = read(out)
    assert (good["folder"], broken["folder"]) == ("./=1+1.mp4", "./broken.mp4")
    assert (good["file"], broken["file"]) == (str(tmp_path / "=1+1.mp4"), str(tmp_path / "broken.mp4"))
    assert good["verdict"] in ("forged", "unclear", "no forgery found")
    assert 0 < float(good["unclear_above"]) <= float(good["forged_above"]) < 1
    assert 0 < float(good["probability"]) < 1
    assert (good["faces"], good["frames"], good["damaged_frames"]) == ("1", str(len(head)), "0")
    assert broken["verdict"] == "no verdict"
    assert "broken.mp4" in broken["reasons"]
    assert broken["probability"] == ""
    write(tmp_path / "broken.mp4", head)
    detect([tmp_path / "broken.mp4"], [small], out, False, SETTINGS)
    stayed, replaced = read(out)
    assert stayed == good
    assert (replaced["folder"], replaced["frames"]) == ("./broken.mp4", str(len(head)))


def row(path: Path, folder: str, **changes: Any) -> FileRow:
    about: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "file": str(path),
        "folder": f"./{folder}",
        "verdict": "unclear",
        "faces": 1,
    }
    return FileRow(**(about | {"reasons": ""} | changes))


def examined(path: Path, out: Path, **changes: Any) -> str:
    """The folder of its result, as a call would leave it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(str(path))
    [name] = list_inputs([path], out).files
    (out / name).mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    (out / name / "result.json").write_text(json.dumps({"file": {"sha256": sha256}}))
    ResultTable(out).add(row(path, name, **changes))
    return name


def test_a_file_of_the_same_name_from_another_folder_keeps_its_result_over_calls(tmp_path: Path) -> None:
    a, b, out = tmp_path / "a/1.jpg", tmp_path / "b/1.jpg", tmp_path / "out"
    assert [examined(path, out) for path in (a, b, a, b)] == ["1.jpg", "1.jpg_1", "1.jpg", "1.jpg_1"]
    assert [(one["file"], one["folder"]) for one in read(out)] == [(str(a), "./1.jpg"), (str(b), "./1.jpg_1")]
    (out / TABLE).unlink()  # by their content
    assert list(list_inputs([b], out).files) == ["1.jpg_1"]
    assert list(list_inputs([a], out).files) == ["1.jpg"]


def test_a_call_that_is_interrupted_leaves_the_rows_of_its_files(tmp_path: Path) -> None:
    paths = [tmp_path / "in" / f"{name}.mp4" for name in "abc"]
    out = tmp_path / "out"
    for path in paths:
        examined(path, out)
    ResultTable(out).begin()
    examined(paths[0], out, verdict="forged")
    rows = [(one["folder"], one["verdict"]) for one in read(out)]
    assert rows == [("./b.mp4", "unclear"), ("./c.mp4", "unclear"), ("./a.mp4", "forged")]


def test_reasons_of_many_faces_are_counted_and_bounded() -> None:
    reasons = [f"face {i}: too small (pixels {i % 40}, limit 48) in 9 of 12 sampled frames" for i in range(2000)]
    reasons += ["face 2000: seen from the side (yaw 70\u00b0, limit 45\u00b0)"]
    assert join_reasons(reasons) == f"2,000 faces: too small; {reasons[-1]}"
    assert join_reasons(reasons[:3]) == "; ".join(reasons[:3])
    assert len(join_reasons(["x" * 200_000])) == 1003


def test_a_reason_that_begins_with_the_name_of_a_file_is_no_formula(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("=1+cmd.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 of 1 files could not be examined: =1\+cmd\.jpg: "):
        detect([Path("=1+cmd.jpg")], [small], Path("out"), False, SETTINGS)
    [only] = read(Path("out"))
    assert only["reasons"].startswith("./=1+cmd.jpg: ")


def test_a_table_with_a_cell_that_nothing_reads_is_named_with_what_to_do(tmp_path: Path) -> None:
    table = ResultTable(tmp_path)
    table.begin()
    with table.path.open("a") as file:
        file.write("x" * 200_000 + "\n")
    with pytest.raises(UserError, match=r"results\.csv: cannot be read as a table \(field larger .*\); move it"):
        table.begin()


def test_rows_without_a_folder_go_and_what_was_cut_in_writing_harms_none(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    table = ResultTable(tmp_path)
    table.begin()
    header = table.path.read_text()
    table.path.write_text(f"{header}x/a.mp4,./a.mp4,unclear,0.5,1,2,3,4,5,6,7,8,9\nx/b.mp4,./b.mp4,unclear\nx/c.m")
    table.begin()
    assert table.path.read_text().splitlines() == [header.strip(), "x/a.mp4,./a.mp4,unclear,0.5,1,2,3,4,5,6,7"]


def test_a_table_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text("my,own\n1,2\n")
    with pytest.raises(UserError, match=r"results\.csv: is no table of detect; move it, or give another --out"):
        ResultTable(tmp_path).begin()
    assert (tmp_path / TABLE).read_text() == "my,own\n1,2\n"
