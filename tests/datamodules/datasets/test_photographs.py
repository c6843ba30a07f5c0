"""Photographs of people as a data set."""

from __future__ import annotations

import shutil
from pathlib import Path

from datamodules.datasets.photographs import index
from datamodules.studio.build import cast
from datamodules.studio.people import LONDON


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
