"""Photographs of people as a data set."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from datamodules.datasets.doctor import explain_wrong
from datamodules.datasets.photographs import index
from datamodules.studio.build import cast
from datamodules.studio.people import LONDON
from tests.fixtures.reading import examine


def test_the_people_that_the_studio_renders_are_in_its_splits() -> None:
    split_of = {person.id: split for split, people in cast(LONDON).items() for person in people}
    listed = list(index(LONDON))
    assert len(listed) == 204
    assert all(split_of[one.identities] == one.split for one in listed)


def test_a_person_is_in_one_split_whoever_else_is_there(tmp_path: Path) -> None:
    names = [f"{name}_{kind}" for name in ("ada", "ben", "cyd", "dan", "eve", "fay") for kind in ("neutral", "smiling")]
    for name in names:
        shutil.copy(LONDON / "001_neutral.jpg", tmp_path / f"{name}.jpg")
    before = {one.stem: one.split for one in index(tmp_path)}
    assert before.keys() == set(names)
    assert {before[f"{name}_neutral"] == before[f"{name}_smiling"] for name in ("ada", "ben", "cyd")} == {True}
    assert len(set(before.values())) > 1
    for name in names[:6]:
        (tmp_path / f"{name}.jpg").unlink()
    assert {one.stem: one.split for one in index(tmp_path)} == {name: before[name] for name in names[6:]}


def test_real_videos_alone_are_not_wrong_and_doctor_says_what_they_are_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    chosen = list({one.split: one for one in index(LONDON)}.values())
    (root / "videos.csv").write_text("path,label,split\n" + "".join(f"{one.path},real,{one.split}\n" for one in chosen))
    for one in chosen:
        shutil.copy(LONDON / one.path, root)
    assert examine("table", root)["wrong"] == []
    assert "real videos alone: train with a synthesis, or beside other sets" in capsys.readouterr().out


def test_a_split_without_the_real_videos_that_others_have_is_wrong() -> None:
    listed = [one for one in index(LONDON) if one.split != "val"]
    assert explain_wrong([], listed, 0.01) == ["no real video in val"]
    fake = replace(listed[0], method="swap", label=1, split="train")
    assert explain_wrong([], [*index(LONDON), fake], 0.01) == ["no fake video in val", "no fake video in test"]
