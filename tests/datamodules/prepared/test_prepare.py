"""Preparing survives kills, broken files and being asked twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import webdataset

from datamodules import manifest
from datamodules.datasets.ffpp import index
from datamodules.manifest import Video
from datamodules.media.image import decode
from datamodules.prepared import contract
from datamodules.prepared.prepare import prepare_all, prepare_video
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import load, read_skipped
from datamodules.runtime.errors import CRASHED, UserError
from tests.conftest import preparing
from tests.fixtures import clips
from tests.fixtures.crashing import DEADLY, Crashing

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def some(studio: Path) -> list[Video]:
    """Four real videos and four fakes."""
    rows = [row for row in index(studio) if row.compression == "c23"]
    return [row for method in ("real", "Swap") for row in [r for r in rows if r.method == method][:4]]


def crops(out: Path) -> list[dict[str, object]]:
    return load(out / "crops.arrow").to_pylist()


def test_the_tables_say_what_is_on_disk(studio: Path, prepared: Path, recipe: Recipe) -> None:
    rows = manifest.rows(manifest.read(prepared / "manifest.csv"))
    assert len(rows) == len([row for row in index(studio) if row.compression == "c23"])
    assert all(row.frames == 48 and 24 < row.fps < 31 and len(row.sha256) == 16 for row in rows)
    table = crops(prepared)
    assert len(table) >= 0.99 * recipe.frames * len(rows)
    for row in table[::17]:
        assert (prepared / str(row["image"])).stat().st_size == row["image_length"]
        assert bool(row["mask"]) == ("/real/" not in str(row["video"]))
    faces = load(prepared / "faces.arrow").select(["video", "track", "score", "masked"])
    assert len(faces) >= 0.99 * 48 * len(rows)
    assert not (prepared / "parts").exists()


def test_asked_twice_it_does_nothing(swaps: Path, prepared_swaps: Path, recipe: Recipe, tmp_path: Path) -> None:
    root, out = shutil.copytree(swaps, tmp_path / "root"), shutil.copytree(prepared_swaps, tmp_path / "out")
    rows = list(index(root))
    every = [(done, len(rows)) for done in range(len(rows) + 1)]
    assert list(prepare_all(rows, root, out, recipe, workers=2)) == every  # copies are younger: each is read once
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert list(prepare_all(rows, root, out, recipe, workers=2)) == every[-1:]
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_killed_and_called_again_it_ends_as_if_never_stopped(
    swaps: Path, prepared_swaps: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "suite", *preparing(swaps, out)]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list((out / "parts").glob("[!.]*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = {p.name: p.stat().st_mtime_ns for p in (out / "parts").glob("[!.]*")}
    rows = list(index(swaps))
    assert 3 <= len(finished) < len(rows) == 16
    steps = prepare_all(rows, swaps, out, recipe, workers=2)
    redone = {p.name: p.stat().st_mtime_ns for p in (out / "parts").glob("[!.]*")} if next(steps) else {}
    assert redone == finished
    list(steps)
    assert crops(out) == crops(prepared_swaps)
    assert (out / "manifest.csv").read_text() == (prepared_swaps / "manifest.csv").read_text()
    images = {p.relative_to(out): p.read_bytes() for p in out.rglob("*.png")}
    assert images == {p.relative_to(prepared_swaps): p.read_bytes() for p in prepared_swaps.rglob("*.png")}
    assert not list(out.rglob("*.part"))


def test_a_video_that_crashes_its_decoder_is_skipped_by_name_and_costs_no_other(
    studio: Path, some: list[Video], recipe: Recipe, tmp_path: Path
) -> None:
    root, rows = tmp_path / "root", [replace(some[0], path=f"{DEADLY}.mp4"), *some[1:4]]
    for old, row in zip(some, rows, strict=False):
        (root / row.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(studio / old.path, root / row.path)
    list(prepare_all(rows, root, tmp_path / "out", replace(recipe, decoder=Crashing()), workers=2))
    assert {skip.video: skip.reason for skip in read_skipped(tmp_path / "out")} == {rows[0].key: CRASHED}
    kept = manifest.rows(manifest.read(tmp_path / "out" / "manifest.csv"))
    assert {row.key for row in kept} == {row.key for row in rows[1:]}


def test_broken_videos_are_named_and_cost_nothing_that_was_good(
    studio: Path, some: list[Video], recipe: Recipe, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for row in some:
        for path in filter(None, (row.path, row.mask)):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(studio / path, root / path)
    (root / some[0].path).write_bytes(b"")
    whole = (root / some[1].path).read_bytes()
    (root / some[1].path).write_bytes(whole[: len(whole) // 2])
    clips.write(root / some[2].path, length=20)  # no face
    (root / some[3].path).unlink()
    list(prepare_all(some, root, tmp_path / "out", recipe, workers=1))
    skipped = {skip.video: skip.reason for skip in read_skipped(tmp_path / "out")}
    assert set(skipped) == {row.key for row in some[:4]}
    assert skipped[some[2].key] == "no face found"
    assert "No such file" in skipped[some[3].key]
    assert {row.key for row in manifest.rows(manifest.read(tmp_path / "out" / "manifest.csv"))} == {
        row.key for row in some[4:]
    }
    # a file that was mended is tried again, the others are left alone
    (root / some[1].path).write_bytes(whole)
    list(prepare_all(some, root, tmp_path / "out", recipe, workers=1))
    assert some[1].key in {row.key for row in manifest.rows(manifest.read(tmp_path / "out" / "manifest.csv"))}
    assert some[1].key not in {skip.video for skip in read_skipped(tmp_path / "out")}


def test_shards_hold_the_same_crops_and_webdataset_streams_them(
    studio: Path, prepared: Path, some: list[Video], recipe: Recipe, tmp_path: Path
) -> None:
    shards = replace(recipe, store="shards")
    list(prepare_all(some[2:5], studio, tmp_path, shards, workers=1))
    list(prepare_all(some, studio, tmp_path, shards, workers=1))  # more videos come later
    by_key = {(row["video"], row["frame"]): row for row in crops(prepared)}
    table = crops(tmp_path)
    assert {row["video"] for row in table} == {row.key for row in some}
    for row in table:
        with (tmp_path / str(row["image"])).open("rb") as f:
            f.seek(int(str(row["image_offset"])))
            content = f.read(int(str(row["image_length"])))
        assert content == (prepared / str(by_key[row["video"], row["frame"]]["image"])).read_bytes()
    files = sorted(str(p) for p in (tmp_path / "shards").glob("*.tar"))
    assert len(files) == 2
    samples = list(webdataset.WebDataset(files, shardshuffle=False))
    assert len(samples) == len(table)
    assert sum("mask.png" in sample for sample in samples) == sum(bool(row["mask"]) for row in table)
    assert decode(samples[0]["png"]).shape == (64, 64, 3)


def test_a_mask_says_which_face_was_forged(studio: Path, recipe: Recipe, tmp_path: Path) -> None:
    from datamodules.media.encode import write_h264
    from datamodules.media.video import Decord

    fake = next(
        row for row in index(studio) if row.method == "Swap" and row.compression == "c23" and row.split == "test"
    )
    other = next(r for r in index(studio) if r.method == "real" and r.compression == "c23" and r.split == "train")
    forged = [f.numpy() for _, _, f in Decord().stream(studio / fake.path)]
    bystander = [f.numpy() for _, _, f in Decord().stream(studio / other.path)]
    masks = [f.numpy()[..., 1] for _, _, f in Decord().stream(studio / fake.mask)]
    height = min(forged[0].shape[0], bystander[0].shape[0])
    both = [np.hstack([b[:height], a[:height]]) for a, b in zip(forged, bystander, strict=True)]
    wide = [
        np.hstack([np.zeros(b.shape[:2], np.uint8)[:height], m[:height]]) for m, b in zip(masks, bystander, strict=True)
    ]
    write_h264(tmp_path / "root" / "v.mp4", both, 25, 20)
    write_h264(tmp_path / "root" / "m.mp4", wide, 25, 12)
    row = replace(fake, path="v.mp4", mask="m.mp4")
    list(prepare_all([row], tmp_path / "root", tmp_path / "out", recipe, workers=1))
    table = crops(tmp_path / "out")
    assert table
    assert all(float(str(r["x"])) + float(str(r["side"])) / 2 > bystander[0].shape[1] for r in table)


def test_a_broken_mask_is_named_and_tried_again_once_mended(
    studio: Path, some: list[Video], recipe: Recipe, tmp_path: Path
) -> None:
    fake = next(row for row in some if row.mask)
    root = tmp_path / "root"
    for path in (fake.path, fake.mask):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(studio / path, root / path)
    whole = (root / fake.mask).read_bytes()
    (root / fake.mask).write_bytes(whole[: len(whole) // 2])
    list(prepare_all([fake], root, tmp_path / "out", recipe, workers=1))
    assert [skip.path for skip in read_skipped(tmp_path / "out")] == [fake.mask]
    clips.write(root / fake.mask, length=48)
    list(prepare_all([fake], root, tmp_path / "out", recipe, workers=1))
    (skip,) = read_skipped(tmp_path / "out")
    assert f"is {clips.WIDTH} x {clips.HEIGHT}, its video" in skip.reason  # it would lie elsewhere
    (root / fake.mask).write_bytes(whole)
    list(prepare_all([fake], root, tmp_path / "out", recipe, workers=1))
    assert not read_skipped(tmp_path / "out")
    assert crops(tmp_path / "out")


def test_what_a_stopped_call_for_other_videos_finished_is_kept(
    studio: Path, some: list[Video], recipe: Recipe, tmp_path: Path
) -> None:
    contract.begin(tmp_path, recipe.contract())
    prepare_video(some[0], studio, tmp_path, recipe)  # as a call that was killed leaves it
    (tmp_path / ".parts.merged" / "half").mkdir(parents=True)  # of a merge that was killed at its very end
    list(prepare_all(some[1:2], studio, tmp_path, recipe, workers=1))
    assert {row.key for row in manifest.rows(manifest.read(tmp_path / "manifest.csv"))} == {row.key for row in some[:2]}
    assert {str(row["video"]) for row in crops(tmp_path)} == {row.key for row in some[:2]}
    assert not (tmp_path / "parts").exists()
    assert not (tmp_path / ".parts.merged").exists()


def test_other_settings_in_the_same_folder_are_refused_by_name(
    studio: Path, prepared: Path, recipe: Recipe, some: list[Video]
) -> None:
    with pytest.raises(UserError, match=r"margin is 1.5 here and 1.3 there"):
        list(prepare_all(some, studio, prepared, replace(recipe, margin=1.5), workers=1))


def test_a_file_outside_the_root_is_never_read(studio: Path, recipe: Recipe, some: list[Video], tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "v.mp4").symlink_to(studio / some[0].path)
    list(prepare_all([replace(some[0], path="v.mp4")], root, tmp_path / "out", recipe, workers=1))
    (skip,) = read_skipped(tmp_path / "out")
    assert "outside" in skip.reason
