"""A list that was mended, or a file that was repaired, is believed by the next call of prepare."""

from __future__ import annotations

import json
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datamodules import manifest
from datamodules.datasets import table
from datamodules.datasets.listing import read_lines
from datamodules.face_data import FaceData
from datamodules.faces.landmarks.base import NoLandmarks
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.manifest import Video
from datamodules.media.encode import write_h264
from datamodules.media.source_files import sha256
from datamodules.media.video import Auto
from datamodules.prepared.pending import list_pending
from datamodules.prepared.prepare import prepare_all, prepare_video
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import load, load_tracks, read_skipped
from datamodules.runtime.errors import UserError
from datamodules.segments import NO_RATE
from suite.prepare import prepare as run_prepare

RECIPE = Recipe(decoder=Auto(), tracker=FaceTracker(landmarks=NoLandmarks()), size=32, frames=8)
HEADER = "path,label,box,split,identities,fake_segments,mask\n"


def film(*paths: Path) -> None:
    for i, path in enumerate(paths):
        write_h264(path, [np.full((64, 64, 3), 50 * i + n, np.uint8) for n in range(48)], 25, 18)


def listed(root: Path, *lines: str) -> list[Video]:
    root.mkdir(exist_ok=True)
    (root / "videos.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))
    return list(table.index(root))


def prepare(rows: list[Video], root: Path, out: Path) -> list[tuple[str, int, str]]:
    list(prepare_all(rows, root, out, RECIPE, workers=1))
    return [(row.path, row.label, row.split) for row in manifest.rows(manifest.read(out / "manifest.csv"))]


def frames_of(out: Path) -> list[int]:
    return [row["frame"] for row in load(out / "crops.arrow").to_pylist()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    out = tmp_path / "root"
    out.mkdir()
    film(out / "a.mp4", out / "b.mp4")
    return out


def test_a_label_that_was_mended_leaves_no_row_of_the_old_one(root: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", "b.mp4,fake,10 10 50 50,train,q,,"
    prepare(listed(root, "a.mp4,real,10 10 50 50,train,p,,", other), root, out)
    after = prepare(listed(root, "a.mp4,fake,10 10 50 50,train,p,,", other), root, out)
    assert sorted(after) == [("a.mp4", 1, "train"), ("b.mp4", 1, "train")]
    videos = {"table/fake//a", "table/fake//b"}
    assert {row["video"] for row in load_tracks(out).to_pylist()} == videos
    assert {row["video"] for row in load(out / "crops.arrow").to_pylist()} == videos
    # those that another list names stay
    assert len(prepare(listed(root, other), root, out)) == 2


@pytest.mark.parametrize(("first", "then"), [("train", "test"), ("test", "train")])
def test_a_partly_forged_video_of_another_split_is_cropped_as_that_one(
    first: str, then: str, root: Path, tmp_path: Path
) -> None:
    line, wanted = "a.mp4,fake,10 10 50 50,{},p,21f-24f,", {}
    for split in ("train", "test"):
        prepare(listed(root, line.format(split)), root, tmp_path / split)
        wanted[split] = frames_of(tmp_path / split)
    assert 21 in wanted["train"]
    assert 21 not in wanted["test"]
    prepare(listed(root, line.format(then)), root, tmp_path / first)
    assert frames_of(tmp_path / first) == wanted[then]


def test_a_part_of_a_call_that_was_killed_is_redone_if_its_list_was_mended(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "contract.json").write_text(json.dumps(RECIPE.contract()))
    row, other = listed(root, "a.mp4,fake,10 10 50 50,train,p,,", "b.mp4,real,10 10 50 50,train,q,,")
    for one in (row, other):
        prepare_video(one, root.resolve(), out.resolve(), RECIPE)
    mended = [replace(row, split="test", fake_segments="3f-9f"), other]
    assert sorted(prepare(mended, root, out)) == [("a.mp4", 1, "test"), ("b.mp4", 0, "train")]
    [prepared] = [one for one in manifest.rows(manifest.read(out / "manifest.csv")) if one.label]
    assert prepared.fake_segments == "3f-9f"


def test_what_was_skipped_is_tried_again_once_its_mask_its_box_or_its_content_is_another(
    root: Path, tmp_path: Path
) -> None:
    (root / "bad.mp4").write_bytes(b"no video")
    film(root / "c.mp4")
    good = (root / "c.mp4").read_bytes()
    (root / "c.mp4").write_bytes(good.replace(b"moov", b"xxxx", 1))
    wrong = ["a.mp4,fake,10 10 50 50,train,p,,bad.mp4", "b.mp4,real,900 900 950 950,train,q,,"]
    broken = "c.mp4,real,10 10 50 50,train,r,,"
    out = tmp_path / "out"
    assert prepare(listed(root, *wrong, broken), root, out) == []
    before = (out / "skipped.csv").stat().st_mtime_ns
    assert prepare(listed(root, *wrong, broken), root, out) == []
    assert (out / "skipped.csv").stat().st_mtime_ns == before  # nothing changed, nothing is tried
    (root / "c.mp4").write_bytes(good)
    mended = ["a.mp4,fake,10 10 50 50,train,p,,", "b.mp4,real,10 10 50 50,train,q,,", broken]
    assert len(prepare(listed(root, *mended), root, out)) == 3
    assert read_skipped(out) == []


def test_a_row_that_was_removed_stays_and_is_said_with_what_to_do(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = FaceData(root=root, prepared=tmp_path / "out", index=table.index)
    lines, kept = ["a.mp4,real,10 10 50 50,train,p,,", "b.mp4,real,10 10 50 50,train,q,,"], []
    for some in (lines, lines[:1]):
        listed(root, *some)
        run_prepare(data, RECIPE.tracker, size=32, frames=8, workers=1)
        kept.append([line for line in capsys.readouterr().out.splitlines() if "earlier lists" in line])
    said = "kept of earlier lists: 1, such as b.mp4; to train without them, prepare into another folder"
    assert kept == [[], [f"{said} (--data.prepared)"]]
    assert len(manifest.read(tmp_path / "out/manifest.csv")) == 2


def replace_video(path: Path, brightness: int) -> None:
    """As a copy that keeps an older date does."""
    write_h264(path, [np.full((64, 64, 3), brightness + n, np.uint8) for n in range(48)], 25, 18)
    os.utime(path, (1e9, 1e9))


def crcs_of(out: Path) -> dict[str, list[int]]:
    """Checksums of the crops of each video."""
    crops: dict[str, list[int]] = {}
    for row in load(out / "crops.arrow").to_pylist():
        crops.setdefault(row["video"], []).append(row["image_crc"])
    return crops


def test_segments_in_seconds_of_a_single_frame_cost_that_video_alone(root: Path, tmp_path: Path) -> None:
    write_h264(root / "one.mp4", [np.full((64, 64, 3), 90, np.uint8)], 25, 18)
    lines = [f"{name}.mp4,fake,10 10 50 50,{split},{name},0-0.2," for name, split in (("one", "test"), ("a", "train"))]
    assert prepare(listed(root, *lines), root, tmp_path / "out") == [("a.mp4", 1, "train")]
    [skipped] = read_skipped(tmp_path / "out")
    assert (skipped.path, skipped.reason) == ("one.mp4", NO_RATE)


@pytest.mark.parametrize("listed_again", [["a.mp4", "b.mp4"], ["b.mp4"]])
def test_a_video_that_was_replaced_is_prepared_again_also_if_an_earlier_list_names_it(
    listed_again: list[str], root: Path, tmp_path: Path
) -> None:
    lines = {"a.mp4": "a.mp4,real,10 10 50 50,train,p,,", "b.mp4": "b.mp4,real,10 10 50 50,train,q,,"}
    out = tmp_path / "out"
    prepare(listed(root, *lines.values()), root, out)
    before = crcs_of(out)
    replace_video(root / "a.mp4", 150)
    assert len(prepare(listed(root, *(lines[name] for name in listed_again)), root, out)) == 2
    after = crcs_of(out)
    assert set(before["table/real//a"]).isdisjoint(after["table/real//a"])
    assert before["table/real//b"] == after["table/real//b"]
    hashes = {row.path: row.sha256 for row in manifest.rows(manifest.read(out / "manifest.csv"))}
    assert hashes == {name: sha256(root / name) for name in lines}


def test_a_copy_of_the_same_video_is_read_once_and_not_prepared_again(root: Path, tmp_path: Path) -> None:
    rows, out = listed(root, "a.mp4,real,10 10 50 50,train,p,,"), tmp_path / "out"
    prepare(rows, root, out)
    (root / "a.mp4").write_bytes((root / "a.mp4").read_bytes())
    assert [row.path for row in list_pending(out, rows, root)] == ["a.mp4"]
    faces = (out / "faces.arrow").stat().st_mtime_ns
    prepare(rows, root, out)
    assert (out / "faces.arrow").stat().st_mtime_ns == faces
    assert list_pending(out, rows, root) == []


def test_a_video_whose_masks_were_replaced_is_prepared_again(root: Path, tmp_path: Path) -> None:
    rows, out = listed(root, "a.mp4,fake,10 10 50 50,train,p,,mask.mp4"), tmp_path / "out"
    for level in (255, 0):
        write_h264(root / "mask.mp4", [np.full((64, 64, 3), level, np.uint8)] * 48, 25, 18)
        prepare(rows, root, out)
        assert {row["masked"] for row in load(out / "faces.arrow").to_pylist()} == {level // 255}


def test_what_a_killed_call_left_of_a_video_that_was_replaced_is_redone(root: Path, tmp_path: Path) -> None:
    [row], out = listed(root, "a.mp4,real,10 10 50 50,train,p,,"), tmp_path / "out"
    out.mkdir()
    (out / "contract.json").write_text(json.dumps(RECIPE.contract()))
    prepare_video(row, root.resolve(), out.resolve(), RECIPE)
    replace_video(root / "a.mp4", 150)
    prepare([row], root, out)
    [prepared] = manifest.rows(manifest.read(out / "manifest.csv"))
    assert prepared.sha256 == sha256(root / "a.mp4")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"size": 0}, "size"), ({"frames": -1}, "frames"), ({"margin": 0.0}, "margin"), ({"tracks": 0}, "tracks")],
)
def test_a_recipe_that_nothing_can_be_prepared_by_is_refused_before_any_work(
    wrong: dict[str, float], message: str, root: Path, tmp_path: Path
) -> None:
    rows = listed(root, "a.mp4,real,10 10 50 50,train,p,,")
    with pytest.raises(UserError, match=f"^prepare: {message} .*: must be"):
        list(prepare_all(rows, root, tmp_path / "out", replace(RECIPE, **wrong), workers=1))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_forged_videos_none_of_which_has_a_clip_to_train_on_are_refused(root: Path, tmp_path: Path) -> None:
    lines = []
    for i in range(8):
        film(root / f"r{i}.mp4", root / f"f{i}.mp4")
        segment = "30f-33f"  # between two crops
        lines += [f"r{i}.mp4,real,10 10 50 50,,p{i},,", f"f{i}.mp4,fake,10 10 50 50,,p{i},{segment},"]
    prepare(listed(root, *lines), root, tmp_path / "out")
    data = FaceData(prepared=tmp_path / "out", split=0.6, num_workers=0, batch_size=2)
    with pytest.raises(UserError, match=r"none of the \d forged faces has a clip to train on; prepare with more"):
        data.train_dataloader()


def test_an_image_that_promises_more_pixels_than_are_decoded_costs_itself_alone(root: Path, tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (root / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    rows = listed(root, "huge.png,real,10 10 50 50,train,p,,", "a.mp4,real,10 10 50 50,train,q,,")
    assert prepare(rows, root, tmp_path / "out") == [("a.mp4", 0, "train")]
    [skipped] = read_skipped(tmp_path / "out")
    assert (skipped.path, "image" in skipped.reason) == ("huge.png", True)


@pytest.mark.parametrize(
    ("content", "rule"),
    [("path,label\n".encode("utf-16"), "UTF-8"), (b'path,label\na.mp4,"' + b"x" * 200_000, "comma-separated")],
)
def test_a_list_that_is_no_table_is_refused_by_name(content: bytes, rule: str, tmp_path: Path) -> None:
    (tmp_path / "videos.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"videos\.csv: .*must be .*{rule}"):
        list(table.index(tmp_path))
    (tmp_path / "list.txt").write_text("a", encoding="utf-16")
    with pytest.raises(UserError, match=r"list\.txt: .*UTF-8"):
        list(read_lines(tmp_path / "list.txt"))
