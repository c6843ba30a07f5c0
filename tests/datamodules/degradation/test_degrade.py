"""Degraded videos: worse by the severity that was asked for, the same bits every time, masks where the faces are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from datamodules.datasets.table import index as table_index
from datamodules.degradation.apply import degrade, degrade_masks
from datamodules.degradation.dataset import degrade_all, degrade_video
from datamodules.degradation.operations import Blur, Contrast, Crop, Jpeg, Noise, Pixelation, Resize, Saturation
from datamodules.degradation.severities import NAMES, SCALES, Kind, stages
from datamodules.face_data import FaceData
from datamodules.manifest import Video
from datamodules.media.encode import write
from datamodules.media.image import encode
from datamodules.media.mask_video import read_levels, read_masks
from datamodules.media.video import Decord, probe
from datamodules.prepared.tables import load
from datamodules.runtime.errors import UserError
from suite.__main__ import main
from suite.degrade import main as run_degrade
from tests.conftest import ROOT, preparing
from tests.fixtures import clips
from tests.fixtures.trees import Material

DECORD = Decord()


@pytest.fixture(scope="module")
def fake(studio: Path) -> tuple[Path, Path]:
    """A video and its masks."""
    video = sorted((studio / "manipulated_sequences/Swap/c23/videos").glob("*.mp4"))[0]
    return video, studio / "manipulated_sequences/Swap/masks/videos" / video.name


def psnr(one: Path, other: Path) -> float:
    a, b = (DECORD.read(path, range(len(probe(path)))).float() for path in (one, other))
    return float(10 * np.log10(255**2 / ((a - b) ** 2).mean()))


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind not in ("social", "frame_drop")])
def test_a_higher_severity_is_further_from_the_original(kind: Kind, fake: tuple[Path, Path], tmp_path: Path) -> None:
    found = []
    for severity in (1, 3, 5):
        degrade(fake[0], tmp_path / f"{severity}.mp4", "key", stages(kind, severity), DECORD)
        found.append(psnr(fake[0], tmp_path / f"{severity}.mp4"))
    assert found[0] > found[1] > found[2]
    assert len(probe(tmp_path / "5.mp4")) == len(probe(fake[0]))


def test_all_kinds_have_five_severities_and_no_other_is_known() -> None:
    assert {kind: len(scale) for kind, scale in SCALES.items()} == dict.fromkeys(NAMES, 5)
    with pytest.raises(UserError, match="severity 6: must be from 1 to 5"):
        stages("blur", 6)


@pytest.mark.parametrize("kind", ["h264", "h265", "noise", "social", "frame_drop"])
def test_the_same_video_comes_out_bit_for_bit_the_same(kind: Kind, fake: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        degrade(fake[0], tmp_path / f"{name}.mp4", "key", stages(kind, 2), DECORD)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    if kind in ("noise", "frame_drop"):
        degrade(fake[0], tmp_path / "c.mp4", "another", stages(kind, 2), DECORD)
        assert (tmp_path / "c.mp4").read_bytes() != (tmp_path / "a.mp4").read_bytes()


@pytest.mark.parametrize(("kind", "codec"), [("h264", "h264"), ("h265", "hevc")])
def test_the_file_is_coded_as_its_kind_says(kind: Kind, codec: str, fake: tuple[Path, Path], tmp_path: Path) -> None:
    sizes = []
    for severity in (1, 5):
        path = tmp_path / f"{severity}.mp4"
        degrade(fake[0], path, "key", stages(kind, severity), DECORD)
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == codec
        sizes.append(path.stat().st_size)
    assert sizes[1] < sizes[0] / 2


def test_dropped_frames_leave_the_others_and_their_masks_at_their_times(
    fake: tuple[Path, Path], tmp_path: Path
) -> None:
    before = probe(fake[0])
    degrade(fake[0], tmp_path / "v.mp4", "key", stages("frame_drop", 3), DECORD)
    assert degrade_masks(fake[1], fake[0], tmp_path / "m.mp4", "key", stages("frame_drop", 3), DECORD)
    after = probe(tmp_path / "v.mp4")
    assert len(after) == len(before) - round(0.4 * len(before))
    nearest = np.abs(before.times[:, None] - after.times).argmin(0)
    np.testing.assert_allclose(before.times[nearest], after.times, atol=1e-4)
    _, h, w, _ = DECORD.read(fake[0], [0]).shape
    moved = read_masks(DECORD, tmp_path / "m.mp4", after, range(len(after)), (h, w))
    whole = read_masks(DECORD, fake[1], before, nearest.tolist(), (h, w))
    for new, old in zip(moved, whole, strict=True):
        np.testing.assert_array_equal(new, old)
    images, originals = DECORD.read(tmp_path / "v.mp4", range(len(after))), DECORD.read(fake[0], nearest.tolist())
    assert (images.float() - originals.float()).abs().mean() < 0.7  # no coder that loses: colour conversion alone


def test_noise_is_in_the_file_as_strong_as_its_number_says(tmp_path: Path) -> None:
    write(tmp_path / "grey.mp4", ((i / 25, np.full((64, 64, 3), 120, np.uint8)) for i in range(20)), 25, 0)
    degrade(tmp_path / "grey.mp4", tmp_path / "noise.mp4", "key", stages("noise", 3), DECORD)
    noise = (
        DECORD.read(tmp_path / "noise.mp4", range(20)).float() - DECORD.read(tmp_path / "grey.mp4", range(20)).float()
    )
    assert float((noise / 255).var()) == pytest.approx(0.005, rel=0.03)


def test_masks_follow_a_chain_that_shrinks_and_crops(fake: tuple[Path, Path], tmp_path: Path) -> None:
    degrade(fake[0], tmp_path / "v.mp4", "key", stages("social", 5), DECORD)
    assert degrade_masks(fake[1], fake[0], tmp_path / "m.mp4", "key", stages("social", 5), DECORD)
    before, after = probe(fake[0]), probe(tmp_path / "v.mp4")
    h, w = DECORD.read(tmp_path / "v.mp4", [0]).shape[1:3]
    [moved] = read_masks(DECORD, tmp_path / "m.mp4", after, [10], (h, w))
    height, width = DECORD.read(fake[0], [0]).shape[1:3]
    [whole] = read_masks(DECORD, fake[1], before, [10], (height, width))
    assert moved is not None
    assert whole is not None
    # severity 5: 0.7 of the size, then 6 % off each side; where a point of the mask was, it is
    assert abs(w - 0.7 * width * 0.88) <= 4
    ys, xs = np.nonzero(whole)
    middle = np.array([xs.mean(), ys.mean()]) * 0.7 - 0.06 * 0.7 * np.array([width, height])
    ys, xs = np.nonzero(moved)
    assert np.abs(np.array([xs.mean(), ys.mean()]) - middle).max() < 1.5
    assert (moved > 0).sum() == pytest.approx((whole > 0).sum() * 0.49, rel=0.03)


def test_single_steps_do_what_their_numbers_say() -> None:
    rng = np.random.default_rng(0)
    grey = np.full((64, 96, 3), 120, np.uint8)
    noise = Noise(0.002)(grey, rng).astype(float) - 120
    assert noise.var() / 255**2 == pytest.approx(0.002, rel=0.05)
    image = rng.integers(0, 256, (64, 96, 3), np.uint8)
    assert Contrast(0.5)(image, rng).std() == pytest.approx(image.std() / 2, rel=0.02)
    assert Saturation(0.0)(image, rng).std(axis=2).max() == 0
    np.testing.assert_array_equal(Saturation(1.0)(image, rng), image)
    coarse = Pixelation(4)(image, rng)
    assert (coarse[:4, :4] == coarse[0, 0]).all()
    assert Resize(0.5, back=False)(image, rng).shape == (32, 48, 3)
    assert Resize(0.5)(image, rng).shape == image.shape
    assert Crop(0.1)(image, rng).shape == (52, 76, 3)  # 6 and 10 off each side, to an even size
    assert Blur(21)(image, rng).std() < Blur(7)(image, rng).std() < image.std()
    assert np.abs(Jpeg(90)(grey, rng).astype(int) - 120).max() <= 1


def test_a_folder_of_another_degradation_is_refused_and_what_is_broken_is_named(
    material: Material, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    whole = material.real(root / "real/b.mp4")
    (root / "real/a.mp4").write_bytes(whole.read_bytes()[:3000])
    data = FaceData(prepared=tmp_path / "none", root=root, index=table_index)
    (root / "videos.csv").write_text("path,label\nreal/a.mp4,real\nreal/b.mp4,real\n")
    rows = data.list_dataset()[0]
    out = tmp_path / "out"
    list(degrade_all(rows, root, out, "blur", 1, DECORD, workers=1))
    [kept] = table_index(out)
    assert kept.key == rows[1].key
    [(name, reason)] = json.loads((out / "lost.json").read_text()).items()
    assert name == rows[0].key
    assert "a.mp4" in reason
    before = (out / kept.path).stat().st_mtime_ns
    degrade_video(rows[1], root, out, "blur", 1, DECORD)
    assert (out / kept.path).stat().st_mtime_ns == before
    with pytest.raises(UserError, match="holds another degradation"):
        list(degrade_all(rows, root, out, "blur", 2, DECORD, workers=1))


def test_an_output_is_made_again_once_its_video_or_mask_was_replaced_and_only_then(tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "out"
    root.mkdir()
    about: dict[str, Any] = {"dataset": "d", "label": 1, "method": "Swap", "split": "test", "identities": ""}
    rows = [Video(**about, stem=name, path=f"{name}.mp4", mask=f"{name}_mask.mp4") for name in "ab"]

    def write_grey(name: str, grey: int) -> None:
        write(root / f"{name}.mp4", ((i / 25, np.full((64, 64, 3), grey, np.uint8)) for i in range(4)), 25, 0)

    def find_bright() -> set[str]:
        list(degrade_all(rows, root, out, "blur", 1, DECORD, workers=1))
        found = {f"{path.parts[-5]} {path.stem}": DECORD.read(path, [0]).float().mean() for path in out.rglob("*.mp4")}
        assert found.keys() == {"videos a", "videos b", "masks a", "masks b"}
        return {name for name, grey in found.items() if grey > 128}

    for row in rows:
        write_grey(row.stem, 60)
        write_grey(f"{row.stem}_mask", 255)
    assert find_bright() == {"masks a", "masks b"}
    untouched = {path: path.stat().st_mtime_ns for path in out.rglob("b.mp4")}
    write_grey("a", 200)
    assert find_bright() == {"videos a", "masks a", "masks b"}
    write_grey("a_mask", 0)
    assert find_bright() == {"videos a", "masks b"}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("b.mp4")} == untouched
    # what an earlier version wrote does not tell what it was made from
    write_grey("b", 200)
    (out / "sources/d/Swap/-/b.json").unlink()
    assert find_bright() == {"videos a", "videos b", "masks b"}


def test_a_video_with_damaged_frames_or_masks_is_lost_and_not_coded_anew(tmp_path: Path) -> None:
    for name in ("a", "b", "a_mask"):
        clips.write(tmp_path / f"{name}.mp4", length=24, gop=12)
    for name in ("b", "a_mask"):
        clips.damage(tmp_path / f"{name}.mp4", 18)
    about: dict[str, Any] = {"dataset": "d", "label": 1, "method": "Swap", "split": "test", "identities": ""}
    rows = [Video(**about, stem="a", path="a.mp4", mask="a_mask.mp4"), Video(**about, stem="b", path="b.mp4")]
    list(degrade_all(rows, tmp_path, tmp_path / "out", "blur", 1, DECORD, workers=1))
    one, other = json.loads((tmp_path / "out/lost.json").read_text()).values()
    assert re.search(r"a_mask\.mp4: the masks of \d of 24 frames are damaged$", one)
    assert re.search(r"b\.mp4: \d of 24 frames are damaged$", other)
    assert list((tmp_path / "out").rglob("*.mp4")) == []


def test_a_degraded_copy_is_prepared_as_any_data_set(swaps: Path, tmp_path: Path) -> None:
    config = ["--data", str(ROOT / "configs/data/studio.yaml"), "--data.root", str(swaps)]
    copy = tmp_path / "copy"
    main(["degrade", *config, "--kind", "h264", "--severity", "2", "--out", str(copy), "--workers", "2"])
    arguments = preparing(copy, tmp_path / "prepared")
    main([*arguments, "--data.index", "datamodules.datasets.table.index"])
    crops = load(tmp_path / "prepared/crops.arrow")
    videos = set(crops["video"].to_pylist())
    assert any("/Swap/c23/" in name for name in videos)
    assert all(
        mask for name, mask in zip(crops["video"].to_pylist(), crops["mask"].to_pylist(), strict=True) if "Swap" in name
    )


def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_was(material: Material, tmp_path: Path) -> None:
    root = tmp_path / "data"
    material.real(root / "a.mp4")
    (root / "videos.csv").write_text("path,label\na.mp4,real\n")
    before = {path: path.read_bytes() for path in root.iterdir()}
    asked = ["degrade", "--data", str(ROOT / "configs/data/table.yaml"), "--data.root", str(root)]
    asked += ["--kind", "blur", "--severity", "1", "--workers", "1", "--out"]
    for out, reason in ((root, "is the folder of the data set"), (tmp_path, "not empty and not of 'degrade'")):
        with pytest.raises(UserError, match=f"{out}: {reason}"):
            run_degrade([*asked, str(out)])
    assert {path: path.read_bytes() for path in root.iterdir()} == before
    (root / "blur").mkdir()  # below it, a folder of its own in which a sweep has written what it asks for
    for name in ("asked.json", "settings.yaml", "degrade.log"):
        (root / "blur" / name).touch()
    run_degrade([*asked, str(root / "blur")])
    assert (root / "blur/videos.csv").is_file()


def test_a_degraded_mask_keeps_its_grey_levels_and_those_of_later_frames_where_the_first_has_none(
    tmp_path: Path,
) -> None:
    clips.write(tmp_path / "a.mp4", length=12, size=(64, 64))
    levels = np.arange(256, dtype=np.uint8).repeat(16).reshape(64, 64)
    (tmp_path / "masks").mkdir()
    for number in range(2, 12):
        (tmp_path / f"masks/{number:03d}.png").write_bytes(encode(np.roll(levels, number), "png"))
    about: dict[str, Any] = {"dataset": "d", "label": 1, "method": "Swap", "split": "test", "identities": ""}
    row = degrade_video(Video(**about, stem="a", path="a.mp4", mask="masks"), tmp_path, tmp_path, "blur", 1, DECORD).row
    index = probe(tmp_path / row.path)
    first, second, *others = read_levels(DECORD, tmp_path / row.mask, index, range(12), (64, 64))
    assert first is not None
    assert first.max() == 0  # the times of a video count from its first frame
    assert second is None
    for number, mask in enumerate(others, 2):
        np.testing.assert_array_equal(mask, np.roll(levels, number))


def test_masks_that_are_of_no_frame_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data/masks").mkdir(parents=True)
    clips.write(tmp_path / "data/a.mp4", length=12, size=(64, 64))
    for number in range(100, 112):
        (tmp_path / f"data/masks/{number}.png").write_bytes(encode(np.full((64, 64), 255, np.uint8), "png"))
    (tmp_path / "data/videos.csv").write_text("path,label,mask\na.mp4,fake,masks\n")
    asked = ["degrade", "--data", str(ROOT / "configs/data/table.yaml"), "--data.root", str(tmp_path / "data")]
    run_degrade([*asked, "--kind", "blur", "--severity", "1", "--workers", "1", "--out", str(tmp_path / "out")])
    assert "1 of 1 masks left out, of no frame of their videos, first masks" in capsys.readouterr().out


def test_a_video_that_lies_deep_in_folders_is_degraded(tmp_path: Path) -> None:
    path = "/".join(["k" * 60] * 4) + "/a.mp4"
    (tmp_path / path).parent.mkdir(parents=True)
    clips.write(tmp_path / path, length=12, size=(64, 64))
    about: dict[str, Any] = {"dataset": "d", "label": 1, "method": "Swap", "split": "test", "identities": ""}
    row = degrade_video(Video(**about, stem=path, path=path), tmp_path, tmp_path / "out", "blur", 1, DECORD).row
    assert (tmp_path / "out" / row.path).is_file()
