"""One table of all files that were examined into a folder."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from datamodules.runtime.errors import UserError
from suite.detect.analyzer import DetectSettings
from suite.detect.command import detect
from suite.detect.table import TABLE, ResultTable
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
    assert (good["file"], broken["file"]) == ("./=1+1.mp4", str(tmp_path / "broken.mp4"))
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


def test_rows_without_a_folder_go_and_what_was_cut_in_writing_harms_none(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    table = ResultTable(tmp_path)
    table.begin([])
    header = table.path.read_text()
    table.path.write_text(f"{header}x/a.mp4,./a.mp4,unclear,0.5,1,2,3,4,5,6,7,8,9\nx/b.mp4,./b.mp4,unclear\nx/c.m")
    table.begin([])
    assert table.path.read_text().splitlines() == [header.strip(), "x/a.mp4,./a.mp4,unclear,0.5,1,2,3,4,5,6,7"]


def test_a_table_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text("my,own\n1,2\n")
    with pytest.raises(UserError, match=r"results\.csv: is no table of detect; move it, or give another --out"):
        ResultTable(tmp_path).begin([])
    assert (tmp_path / TABLE).read_text() == "my,own\n1,2\n"
