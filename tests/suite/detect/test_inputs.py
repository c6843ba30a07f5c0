"""What 'detect' takes of what it is given, and how it names it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name, is_utf8
from suite.detect.command import list_inputs
from suite.detect.result import SCHEMA


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_results_of_before_and_hidden_files_are_no_inputs_wherever_they_lie(tmp_path: Path) -> None:
    home = tmp_path / "holiday"
    touch(home / "a.mp4", home / "b.jfif", home / "._a.mp4", home / "notes.txt", home / "detected/a.mp4/annotated.mp4")
    (home / "detected/a.mp4/result.json").write_text(json.dumps({"schema": SCHEMA}))
    touch(home / "other/c.mp4")
    (home / "other/result.json").write_text(json.dumps({"of": "somebody else"}))
    for out in (tmp_path / "elsewhere", home / "detected"):
        assert list(list_inputs([home], out)) == ["a.mp4", "b.jfif", "other_c.mp4"]


def test_a_long_name_is_cut_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / ("\u9854" * 60) / ("\u9854" * 60) / "clip.mp4"
    touch(path)
    [name] = list_inputs([tmp_path], tmp_path / "out")
    assert len(name.encode()) <= 200
    assert name.endswith("\u9854_clip.mp4")


def test_results_in_the_place_of_a_file_are_refused_before_any_work(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg: is a file, must be free for a folder of results; give another --out"):
        list_inputs([tmp_path / "a.jpg"], tmp_path)


def test_a_name_takes_one_line_and_tells_a_terminal_nothing() -> None:
    name = "a\x1b[2J\nreal.mp4: no forgery found\u202e.mp4"
    assert format_name(name) == "a\\x1b[2J\\nreal.mp4: no forgery found\\u202e.mp4"
    assert is_utf8(name)
    assert format_name("\u5e74\u3000\u00e9 \U0001f600.mp4") == "\u5e74\u3000\u00e9 \U0001f600.mp4"
    assert not is_utf8("\udcff.mp4")
