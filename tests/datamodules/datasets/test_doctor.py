"""The account of a copy of a data set once its videos are decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.datasets.doctor import check_decoded, check_listing
from datamodules.datasets.table import index
from datamodules.manifest import Video
from datamodules.media.encode import write_h264
from datamodules.media.video import Auto
from datamodules.prepared.recipe import Recipe
from datamodules.runtime.errors import CRASHED
from tests.fixtures import clips, trees
from tests.fixtures.crashing import DEADLY
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.reading import examine, reader, said
from tests.fixtures.trees import Material


def test_doctor_decodes_and_finds_what_a_listing_cannot_see(material: Material, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    trees.ffpp(material, root)
    lines = said(examine("ffpp_c23", root, "--decode"))
    masks = "mask manipulated_sequences/Deepfakes/masks/videos"
    expected = {
        f"{masks}/010_011.mp4: has 40 frames, its video 48",
        f"{masks}/010_011.mp4: has 25.000 frames a second, its video 30.000",
        f"{masks}/011_010.mp4: has 48 frames, its video 5",
        "short manipulated_sequences/Deepfakes/c23/videos/011_010.mp4: has 5 frames, fewer than 32",
        "no face manipulated_sequences/Deepfakes/c23/videos/011_010.mp4: no face in 5 evenly spaced frames",
    }
    assert expected <= lines, lines


def test_doctor_says_which_of_several_faces_the_mask_chooses(material: Material, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    trees.dfd(material, root)
    lines = said(examine("dfd", root, "--decode", "--workers", "1"))
    (several,) = (line for line in lines if line.startswith("several faces"))
    assert "02_01__meeting" in several
    assert "2 faces; the mask chooses not the largest but number 2" in several


def test_doctor_sees_a_mask_that_was_taken_for_a_video(material: Material, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    trees.manualfake(material, root)
    report = examine("manualfake", root, "--decode", "--workers", "1")
    astray = [line for line in said(report) if line.startswith("label")]
    assert astray == ["label fake/ground_truth/dance.mp4: is black and white alone, as a mask is, and listed as fake"]
    assert any("1 x label" in reason for reason in report["wrong"])  # type: ignore[attr-defined]


def test_what_prepare_skipped_is_in_the_account(material: Material, tmp_path: Path, recipe: Recipe) -> None:
    root = tmp_path / "root"
    root.mkdir()
    trees.ffpp(material, root)
    rows = [row for row in reader("ffpp_c23")(root) if row.compression == "c23" and row.stem == "011_010"]
    prepare_here(rows, root, tmp_path / "prepared", recipe)
    assert "no face manipulated_sequences/Deepfakes/c23/videos/011_010.mp4: prepare: no face found" in said(
        examine("ffpp_c23", root)
    )


def test_a_video_that_crashes_its_decoder_is_a_finding_and_the_others_are_examined(
    material: Material, tmp_path: Path
) -> None:
    for name in ("real/000.mp4", f"real/{DEADLY}.mp4"):
        material.real(tmp_path / "root" / name)
    (tmp_path / "root/fake").mkdir()
    clips.write(tmp_path / "root/fake/short.mp4", length=5)
    decoder = "tests.fixtures.crashing.Crashing"
    lines = said(examine("folder", tmp_path / "root", "--decode", "--data.decoder", decoder))
    assert f"corrupt real/{DEADLY}.mp4: {CRASHED}" in lines
    assert "short fake/short.mp4: has 5 frames, fewer than 32" in lines


NO_WHITE = "must exceed 127: masks are black and white, or --mask_threshold is lower"


@pytest.mark.parametrize(("grey", "is_named"), [(0, False), (1, True), (127, True), (128, False), (255, False)])
def test_the_mask_of_a_fake_that_is_drawn_and_nowhere_white_is_a_finding(
    tmp_path: Path, grey: int, is_named: bool
) -> None:
    root = tmp_path / "root"
    for name, image in (("real/b", 90), ("fake/a", 91), ("masks/a", 0)):
        (root / name).parent.mkdir(parents=True)
        picture = np.full((64, 64, 3), image, np.uint8)
        picture[8:16, 8:16] = grey if name == "masks/a" else image
        cv2.imwrite(str(root / f"{name}.png"), picture)
    report = examine("folder", root, "--decode", "--workers", "1")
    assert (f"mask masks/a.png: largest value is {grey}, {NO_WHITE}" in said(report)) == is_named
    assert any("1 x mask" in reason for reason in report["wrong"]) == is_named  # type: ignore[attr-defined]
    report = examine("folder", root, "--decode", "--workers", "1", "--mask_threshold", "1")
    assert not any(line.startswith("mask ") for line in said(report))


def test_a_mask_that_is_white_in_some_frame_alone_is_no_finding(tmp_path: Path) -> None:
    clips.write(tmp_path / "fake.mp4", length=24, size=(64, 64))
    about: dict[str, Any] = {
        "dataset": "d",
        "method": "Swap",
        "stem": "a",
        "path": "fake.mp4",
        "split": "test",
        "identities": "",
    }
    for name, brightest in (("dim", 60), ("once", 255)):
        masks = [np.full((64, 64), 60, np.uint8) for _ in range(24)]
        masks[2][:] = brightest  # of the five that are looked at, none is the third
        write_h264(tmp_path / f"{name}.mp4", masks, 25, 0)
        found = check_decoded(Video(**about, label=1, mask=f"{name}.mp4"), tmp_path, Auto(), 8)
        assert any(NO_WHITE in one.text for one in found) == (name == "dim"), found
        found = check_decoded(Video(**about, label=1, mask=f"{name}.mp4"), tmp_path, Auto(), 8, threshold=50)
        assert not any("must exceed" in one.text for one in found)


def test_a_video_that_is_listed_as_real_and_as_fake_is_a_finding_and_faces_of_one_image_are_none(
    tmp_path: Path,
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    lines = ["a.mp4,real,train,", "a.mp4,fake,test,", "b.mp4,real,train,1 1 9 9", "b.mp4,fake,train,20 20 29 29"]
    (tmp_path / "videos.csv").write_text("path,label,split,box\n" + "".join(f"{line}\n" for line in lines))
    rows = list(index(tmp_path))
    found = [one.text for one in check_listing(rows, tmp_path, tmp_path / "none") if "listed twice" in one.text]
    assert found == ["is listed twice: in train and in test, as real and as fake"]


def test_masks_as_images_have_no_rate_and_those_with_the_number_of_no_frame_are_a_finding(tmp_path: Path) -> None:
    clips.write(tmp_path / "a.mp4", length=24, size=(64, 64))
    about: dict[str, Any] = {"dataset": "d", "method": "fake", "split": "test", "identities": "", "label": 1}
    for first in (0, 1):
        (tmp_path / f"from{first}").mkdir()
        for number in range(first, first + 24):
            cv2.imwrite(str(tmp_path / f"from{first}/{number:04d}.png"), np.full((64, 64), 255, np.uint8))
    found = [
        [one.text for one in check_decoded(row, tmp_path, Auto(), 8) if one.kind == "mask"]
        for row in (Video(**about, stem="a", path="a.mp4", mask=f"from{first}") for first in (0, 1))
    ]
    rule = "the number of an image is that of its frame, and videos count from 0"
    assert found == [[], [f"has masks of 1 frames that its video has not, first 24: {rule}"]]


def test_a_video_or_a_mask_whose_name_looks_like_the_member_of_an_archive_is_not_missing(tmp_path: Path) -> None:
    for name in ("x::y.mp4", "m::y.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "videos.csv").write_text("path,label,mask\nx::y.mp4,fake,m::y.mp4\n")
    assert list(check_listing(list(index(tmp_path)), tmp_path, tmp_path / "none")) == []
