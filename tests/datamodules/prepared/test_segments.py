"""Forged segments that are shorter than the step between crops give crops of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from datamodules import manifest
from datamodules.datasets.ffpp import index
from datamodules.manifest import Video
from datamodules.prepared.prepare import prepare_all
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import load
from datamodules.spacing import space_evenly
from tests.fixtures.prepared_here import prepare_here

SEGMENTS = "21f-24f 44f-90f"  # of 48 frames
WHOLE = set(space_evenly(48, 8))


@pytest.fixture(scope="module")
def rows(studio: Path) -> list[Video]:
    """A fake that trains and one that tests, both forged in parts, and a real one."""
    every = [row for row in index(studio) if row.compression == "c23"]
    fakes = [next(row for row in every if (row.method, row.split) == ("Swap", split)) for split in ("train", "test")]
    return [*(replace(row, fake_segments=SEGMENTS) for row in fakes), next(row for row in every if not row.label)]


def cropped(out: Path, row: Video) -> dict[int, int]:
    """Frames of a video, with the checksums of their crops."""
    crops = load(out / "crops.arrow").to_pylist()
    return {crop["frame"]: crop["image_crc"] for crop in crops if crop["video"] == row.key}


def test_only_a_partly_forged_video_of_training_gives_more(
    rows: list[Video], studio: Path, prepared: Path, recipe: Recipe, tmp_path: Path
) -> None:
    prepare_here(rows, studio, tmp_path / "out", recipe)
    training, testing, real = (cropped(tmp_path / "out", row) for row in rows)
    assert WHOLE.isdisjoint({21, 22, 23})
    assert set(training) == WHOLE | {21, 23, 44, 47}  # a quarter of 8 of each segment, from its first frame to its last
    assert set(testing) == WHOLE
    assert [testing, real] == [cropped(prepared, row) for row in rows[1:]]  # as without segments
    before = cropped(prepared, rows[0])
    assert {frame: training[frame] for frame in WHOLE} == before


def test_stopped_between_videos_the_tables_come_out_alike(
    rows: list[Video], studio: Path, recipe: Recipe, tmp_path: Path
) -> None:
    list(prepare_all(rows, studio, tmp_path / "once", recipe, workers=1))
    for part in (rows[:1], rows):
        list(prepare_all(part, studio, tmp_path / "twice", recipe, workers=1))
    for name in ("crops.arrow", "faces.arrow", "tracks.arrow", "manifest.csv", "contract.json"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes(), name


def test_a_list_whose_segments_were_mended_is_cropped_again(
    rows: list[Video], studio: Path, recipe: Recipe, tmp_path: Path
) -> None:
    list(prepare_all(rows[:1], studio, tmp_path, recipe, workers=1))
    mended = replace(rows[0], fake_segments="30f-33f")
    list(prepare_all([mended], studio, tmp_path, recipe, workers=1))
    assert set(cropped(tmp_path, mended)) == WHOLE | {30, 32}
    assert manifest.read(tmp_path / "manifest.csv")["fake_segments"].to_pylist() == ["30f-33f"]
