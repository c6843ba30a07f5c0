"""What 'detect' takes of what it is given, and how it names it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name, is_utf8
from suite.detect.inputs import list_inputs
from suite.detect.result import SCHEMA


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_results_of_before_and_hidden_files_are_no_inputs_wherever_they_lie(tmp_path: Path) -> None:
    home = tmp_path / "holiday"
    touch(home / "a.mp4", home / "b.jfif", home / "._a.mp4", home / "notes.txt", home / "detected/a.mp4/annotated.mp4")
    of_before = {"schema": SCHEMA, "file": {"sha256": hashlib.sha256(b"").hexdigest()}}
    (home / "detected/a.mp4/result.json").write_text(json.dumps(of_before))
    touch(home / "other/c.mp4")
    (home / "other/result.json").write_text(json.dumps({"of": "somebody else"}))
    for out in (tmp_path / "elsewhere", home / "detected"):
        assert list(list_inputs([home], out).files) == ["a.mp4", "b.jfif", "other_c.mp4"]


def test_a_long_name_is_cut_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / ("\u9854" * 60) / ("\u9854" * 60) / "clip.mp4"
    touch(path)
    [name] = list_inputs([tmp_path], tmp_path / "out").files
    assert len(name.encode()) <= 200
    assert name.endswith("\u9854_clip.mp4")


def test_results_in_the_place_of_a_file_are_refused_before_any_work(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg: is a file, must be free for a folder of results; give another --out"):
        list_inputs([tmp_path / "a.jpg"], tmp_path)


def test_what_a_named_file_is_read_of_is_read_in_a_folder_and_the_rest_is_counted_by_suffix(tmp_path: Path) -> None:
    touch(*(tmp_path / f"in/a.{suffix}" for suffix in ("avif", "ogv", "asf", "ivf")))
    touch(
        tmp_path / "in/b.heic",
        tmp_path / "in/more/c.TXT",
        tmp_path / "in/d.txt",
        tmp_path / "in/.hidden.txt",
        tmp_path / "in/.git/x.pack",
    )
    found = list_inputs([tmp_path / "in"], tmp_path / "out")
    assert list(found.files) == ["a.asf", "a.avif", "a.ivf", "a.ogv"]
    assert found.describe_skipped() == "3 files were not looked at: .heic, .txt"
    assert list_inputs([tmp_path / "in/a.avif"], tmp_path / "out").describe_skipped() == ""
    with pytest.raises(UserError, match=r"has no videos and no images \(1 file was not looked at: \.txt\)"):
        list_inputs([tmp_path / "in/more"], tmp_path / "out")


def test_a_file_that_is_given_twice_is_examined_once(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.jpg", tmp_path / "in/b.jpg")
    found = list_inputs([tmp_path / "in/a.jpg", tmp_path / "in", tmp_path / "in/../in/b.jpg"], tmp_path / "out")
    assert list(found.files) == ["a.jpg", "b.jpg"]


def test_files_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    touch(*(tmp_path / folder / "a.jpg" for folder in "xyz"))
    assert list(list_inputs([tmp_path / folder for folder in "xyz"], tmp_path).files) == ["a.jpg", "a.jpg_1", "a.jpg_2"]


def test_a_name_takes_one_line_and_tells_a_terminal_nothing() -> None:
    name = "a\x1b[2J\nreal.mp4: no forgery found\u202e.mp4"
    assert format_name(name) == "a\\x1b[2J\\nreal.mp4: no forgery found\\u202e.mp4"
    assert is_utf8(name)
    assert format_name("\u5e74\u3000\u00e9 \U0001f600.mp4") == "\u5e74\u3000\u00e9 \U0001f600.mp4"
    assert not is_utf8("\udcff.mp4")
