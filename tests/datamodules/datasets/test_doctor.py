"""The account of a copy of a data set once its videos are decoded."""

from __future__ import annotations

from pathlib import Path

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
