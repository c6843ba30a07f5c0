"""A data set without splits is split by its people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from datamodules import manifest
from datamodules.face_data import FaceData
from datamodules.loading.split import draw_split
from datamodules.manifest import Video
from datamodules.prepared import checksums
from datamodules.runtime.errors import UserError
from tests.fixtures.rows import video

HERE = Path("prepared")


def rows(people: int) -> list[Video]:
    """Of each person a real video, and a fake with the face of the next but one, so that three chains are linked."""
    real = [video(f"r{i}", "test", f"p{i}") for i in range(people)]
    pairs = [(i, (i + 3) % people) for i in range(0, people, 5)]
    return [*real, *(replace(video(f"f{a}", "test", f"p{a} p{b}"), label=1, method="Swap") for a, b in pairs)]


def split_of(listed: list[Video], share: float) -> dict[str, str]:
    drawn = manifest.rows(draw_split(manifest.table(listed), share, HERE))
    return {row.stem: row.split for row in drawn}


def test_nobody_is_in_two_splits_whoever_shares_a_forgery() -> None:
    drawn = draw_split(manifest.table(rows(50)), 0.8, HERE)
    assert not list(manifest.leaks(drawn))
    assert {row.split for row in manifest.rows(drawn)} == {"train", "val", "test"}


def test_the_share_is_that_of_people_and_the_rest_is_halved() -> None:
    split = split_of([video(f"r{i}", "test", f"p{i}") for i in range(100)], 0.7)
    counts = [list(split.values()).count(name) for name in ("train", "val", "test")]
    assert counts == [70, 15, 15]


def test_codings_of_a_video_of_nobody_known_stay_together() -> None:
    listed = [video(f"my {i}", "test", "", compression=name) for i in range(40) for name in ("c23", "c40")]
    drawn = manifest.rows(draw_split(manifest.table(listed), 0.6, HERE))
    assert len({(row.stem, row.split) for row in drawn}) == 40


def test_the_order_of_rows_changes_nothing() -> None:
    assert split_of(rows(40), 0.6) == split_of(rows(40)[::-1], 0.6)


@pytest.mark.parametrize(
    ("listed", "share", "reason"),
    [
        (rows(9), 1.0, "split 1: must be the share of people for training, above 0 and below 1"),
        ([*rows(9), video("x", "train", "q")], 0.8, "has splits of its own, test, train; leave out"),
        (rows(2), 0.8, "people or source clips, must be at least 3"),
    ],
)
def test_what_cannot_be_split_is_refused(listed: list[Video], share: float, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        draw_split(manifest.table(listed), share, HERE)


def test_a_data_set_without_splits_trains_once_a_split_is_asked_for(prepared: Path, tmp_path: Path) -> None:
    for path in prepared.iterdir():
        if path.name not in ("manifest.csv", "digests.json"):
            (tmp_path / path.name).symlink_to(path)
    unsplit = [replace(row, split="test") for row in manifest.rows(manifest.read(prepared / "manifest.csv"))]
    manifest.write(unsplit, tmp_path / "manifest.csv")
    checksums.write(
        tmp_path, checksums.read(prepared) | {"manifest.csv": [checksums.digest(tmp_path / "manifest.csv")]}
    )
    with pytest.raises(UserError, match=r"no train video; all are for testing: --data\.split 0\.8 draws"):
        FaceData(prepared=tmp_path).videos("train")
    data = FaceData(prepared=tmp_path, split=0.6)
    people = [set(" ".join(data.videos(name)["identities"].to_pylist()).split()) for name in ("train", "val", "test")]
    assert all(people)
    assert not people[0] & people[1] | people[0] & people[2] | people[1] & people[2]


@pytest.mark.parametrize("name", [f"set{i}" for i in range(12)])
@pytest.mark.parametrize("linked", [80, 100])
def test_people_whom_forgeries_link_are_drawn_alone_and_what_shows_two_splits_is_left_out(
    name: str, linked: int
) -> None:
    real = [video(f"r{i}", "test", f"p{i}") for i in range(100)]
    pairs = [(i, (i + step) % linked) for i in range(linked) for step in (1, 2, 5)]
    fake = [replace(video(f"f{a}_{b}", "test", f"p{a} p{b}"), label=1, method="Swap") for a, b in pairs]
    listed = [replace(row, dataset=name) for row in [*real, *fake]]
    table = draw_split(manifest.table(listed), 0.7, HERE)
    assert not list(manifest.leaks(table))
    drawn = manifest.rows(table)
    people = [[row.split for row in drawn if not row.label].count(split) for split in ("train", "val", "test")]
    assert people == [70, 15, 15]
    assert len({(row.split, row.label) for row in drawn}) == 6


def test_a_large_family_is_trained_on_and_the_share_is_still_that_of_people() -> None:
    real = [video(f"r{i}", "test", f"p{i}") for i in range(100)]
    family = [replace(video(f"f{i}", "test", f"p{i} p{i + 1}"), label=1, method="Swap") for i in range(29)]
    others = [replace(video(f"f{i}", "test", f"p{i}"), label=1, method="Swap") for i in range(50, 100)]
    drawn = manifest.rows(draw_split(manifest.table([*real, *family, *others]), 0.7, HERE))
    assert len(drawn) == 179
    people = [row.split for row in drawn if not row.label]
    assert [people.count(split) for split in ("train", "val", "test")] == [70, 15, 15]
    assert {row.split for row in drawn if len(row.identities.split()) == 2} == {"train"}


def test_a_split_without_real_or_without_forged_videos_is_refused() -> None:
    real = [video(f"r{i}", "test", f"p{i}") for i in range(20)]
    fake = replace(video("f", "test", "p0"), label=1, method="Swap")
    with pytest.raises(UserError, match=r"split 0\.6: leaves no forged video of its own people for \w+ and \w+; give"):
        draw_split(manifest.table([*real, fake]), 0.6, HERE)
