"""Data sets that are images go through the same line as videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.face_data import FaceData
from datamodules.media.image import decode
from datamodules.media.video import VideoError, probe
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import load, read_skipped
from tests.fixtures import trees_of_images
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.reading import TREES, reader
from tests.fixtures.trees import Material

UNUSABLE = {  # an archive that is cut short, and a mask that lies where nobody looks for masks
    "wilddeepfake": {"wilddeepfake/real//real_test/2/1/real/7"},
    "manualfake": {"manualfake/manualfake/ground_truth/dance"},
}


@pytest.mark.parametrize("config", ["wilddeepfake", "df40", "openforensics", "folder", "deepfakebench", "manualfake"])
def test_images_and_faces_that_are_cut_out_already_become_crops(
    config: str, material: Material, tmp_path: Path, recipe: Recipe
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    TREES[config][0](material, root)
    rows = list(reader(config)(root))
    prepare_here(rows, root, tmp_path / "prepared", recipe)
    skipped = {skip.video for skip in read_skipped(tmp_path / "prepared")}
    assert skipped == UNUSABLE.get(config, set())
    options: dict[str, Any] = {"prepared": tmp_path / "prepared", "batch_size": 64, "num_workers": 0, "eval_clips": 8}
    stored = next(iter(FaceData(**options).test_dataloader()))
    decoded = next(iter(FaceData(**options, root=root, frame_source="videos").test_dataloader()))
    for name in ("frames", "mask", "has_mask", "label"):
        assert torch.equal(getattr(stored, name), getattr(decoded, name)), name
    masked = {row.key for row in rows if row.mask or row.label == 0}
    for video, has_mask, label, mask in zip(stored.video, stored.has_mask, stored.label, stored.mask, strict=True):
        assert bool(has_mask) == (video in masked)
        assert bool(mask.any()) == bool(has_mask and label)


def test_a_face_that_was_cut_out_already_is_taken_whole(material: Material, tmp_path: Path, recipe: Recipe) -> None:
    trees_of_images.wilddeepfake(material, tmp_path / "root")
    (row,) = (row for row in reader("wilddeepfake")(tmp_path / "root") if row.path.startswith("fake_test"))
    prepare_here([row], tmp_path / "root", tmp_path / "prepared", replace(recipe, size=224))
    crops = load(tmp_path / "prepared/crops.arrow")
    assert crops["time"].to_pylist() == [3, 4, 9]  # the numbers of the frames in their video
    for crop, number in zip(crops.to_pylist(), (3, 4, 9), strict=True):
        assert (crop["x"], crop["y"], crop["side"]) == (0, 0, 224)
        original = decode((tmp_path / f"root/{row.path}/{number:03d}.png").read_bytes())
        assert np.array_equal(decode((tmp_path / "prepared" / crop["image"]).read_bytes()), original)


def test_landmarks_of_the_owners_are_used_where_they_ship_them(
    material: Material, tmp_path: Path, recipe: Recipe
) -> None:
    trees_of_images.df40(material, tmp_path / "root")
    rows = [row for row in reader("df40")(tmp_path / "root") if row.landmarks]
    prepare_here(rows, tmp_path / "root", tmp_path / "prepared", recipe)
    for crop in load(tmp_path / "prepared/crops.arrow").to_pylist():
        assert crop["landmarks"][:4] == [80, 60, 81, 61]


def test_images_without_numbers_are_refused_and_never_paired_by_order(tmp_path: Path) -> None:
    trees_of_images.write_image(tmp_path / "clip/first.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(VideoError, match=r"clip: first.png has no frame number"):
        probe(tmp_path / "clip")
    trees_of_images.write_image(tmp_path / "twice/a1.png", np.zeros((8, 8, 3), np.uint8))
    trees_of_images.write_image(tmp_path / "twice/b01.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(VideoError, match="two images have the same frame number"):
        probe(tmp_path / "twice")
