"""Masks that are grey and soft are cut where somebody says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from datamodules import manifest
from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.loading.sampling import EvalSampler
from datamodules.media.encode import write_h264
from datamodules.media.video import Decord
from datamodules.prepared import contract as contracts
from datamodules.prepared.recipe import Recipe
from suite.__main__ import main
from tests.fixtures.prepared_here import prepare_here


@pytest.fixture(scope="module")
def soft(studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fake whose mask is of grey 90 and not white."""
    root = tmp_path_factory.mktemp("soft")
    row = next(row for row in index(studio) if row.mask and (row.method, row.split) == ("Swap", "test"))
    masks = Decord().read(studio / row.mask, range(48)).numpy()
    write_h264(root / "mask.mp4", [np.where(mask > 127, np.uint8(90), np.uint8(0)) for mask in masks], 25, 10)
    (root / "fake.mp4").hardlink_to(studio / row.path)
    manifest.write([replace(row, path="fake.mp4", mask="mask.mp4")], root / "rows.csv")
    return root


@pytest.mark.parametrize(("threshold", "is_white"), [(128, False), (45, True)])
def test_crops_and_videos_alike_have_the_mask_of_their_threshold(
    soft: Path, recipe: Recipe, tmp_path: Path, threshold: int, is_white: bool
) -> None:
    rows = manifest.rows(manifest.read(soft / "rows.csv"))
    prepare_here(rows, soft, tmp_path, replace(recipe, mask_threshold=threshold))
    sources: tuple[Literal["crops"], Literal["videos"]] = ("crops", "videos")
    for source in sources:
        clips = FaceData(prepared=tmp_path, root=soft, frame_source=source, num_workers=0).clips("test")
        sample = clips[EvalSampler(clips.faces(4), 4).address(0)]
        assert sample.mask is not None
        assert bool(sample.mask.any()) == is_white, source


def test_a_threshold_is_part_of_the_contract_where_it_is_not_half(recipe: Recipe, prepared: Path) -> None:
    assert recipe.contract() == contracts.load(prepared)
    assert "mask_threshold" not in recipe.contract()
    assert replace(recipe, mask_threshold=20).contract()["mask_threshold"] == 20
    # a detector that learnt from such masks is tested on any others
    data = FaceData(prepared=prepared)
    data.group.checked_sets[0].contract["mask_threshold"] = 20
    assert "mask_threshold" not in data.seen_pixels()


@pytest.mark.parametrize("threshold", ["0", "256"])
def test_a_level_that_no_grey_has_is_refused(threshold: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", "--data", "configs/data/folder.yaml", "--data.root", "x", "--mask_threshold", threshold])
    assert f"--mask_threshold {threshold}: must be a grey level from 1 to 255" in capsys.readouterr().err
