"""Frames that the decoder calls damaged, and what is predicted from them, are never cropped and never scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from datamodules.datasets.doctor import check_decoded
from datamodules.datasets.folder import index
from datamodules.issues import Finding
from datamodules.manifest import Video
from datamodules.media.damage import Damage, find_damage, read_damage, spread, write_damage
from datamodules.media.probe import probe
from datamodules.media.video import Decord, PyAV
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import load, read_skipped
from suite.detect.analyzer import Analyzer, DetectSettings
from suite.detect.usable import Usable
from suite.prepare import main as prepare
from tests.conftest import ROOT
from tests.fixtures import clips
from tests.fixtures.detecting import SCHEMA, small
from tests.fixtures.head_clips import Frames, head, write
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.reading import examine

__all__ = ["head", "small"]  # fixtures

SECOND_OF_FOUR = set(range(12, 24))  # frames of a clip of 48 with a key frame every 12


def long(head: Frames) -> Frames:
    return np.concatenate([head, head[::-1]])


def damaged(path: Path, head: Frames) -> Path:
    """48 frames of which the second 12 have a damaged one, their first after the key frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return clips.damage(write(path, long(head), gop=12), 13)


def test_damage_spreads_to_the_next_key_frame_and_to_what_that_leads_in() -> None:
    # decoded:       I  P  B  I  b  b  P  I      (b is shown before the key frame that it is decoded after)
    times = np.array([0, 2, 1, 5, 3, 4, 6, 7])
    is_key = np.array([1, 0, 0, 1, 0, 0, 0, 1], bool)
    corrupt = np.array([0, 1, 0, 0, 0, 0, 0, 0], bool)
    assert spread(corrupt, times, is_key).tolist() == [False, True, True, False, True, True, False, False]
    corrupt = np.array([0, 0, 0, 0, 1, 0, 0, 0], bool)
    assert spread(corrupt, times, is_key).tolist() == [False] * 4 + [True] + [False] * 3
    corrupt = np.array([0, 0, 0, 1, 0, 0, 0, 0], bool)
    assert spread(corrupt, times, is_key).tolist() == [False] * 3 + [True] * 4 + [False]


@pytest.mark.parametrize("name", sorted(clips.MAKERS.keys() - {"transport.ts"}))
def test_of_an_undamaged_file_no_frame_is_damaged(name: str, tmp_path: Path) -> None:
    path = clips.MAKERS[name](tmp_path / name)
    assert not find_damage(path, probe(path)).any()


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_every_frame_that_damage_changes_is_damaged(codec: str, head: Frames, tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", long(head), gop=12, codec=codec)
    before = PyAV().read(path, range(48))
    for packet in (13, 14, 15, 20):
        broken = write(tmp_path / "broken.mp4", long(head), gop=12, codec=codec)
        clips.damage(broken, packet)
        found = find_damage(broken, probe(broken))
        assert np.array_equal(found, find_damage(broken, probe(broken)))
        on_the_way: list[int] = []
        list(PyAV().decode(broken, probe(broken), range(48), on_the_way))
        assert on_the_way
        assert found[on_the_way].all()
        changed = (PyAV().read(broken, range(48)) != before).flatten(1).any(1).numpy()
        assert changed.any()
        assert not (changed & ~found).any()
        assert set(np.flatnonzero(found)) <= SECOND_OF_FOUR


def test_a_video_that_lacks_a_frame_is_skipped_whatever_the_decoder_fills_in(recipe: Recipe, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in ("real", "fake"):
        (root / folder).mkdir(parents=True)
    path = clips.drop(clips.write(root / "real/clip.mp4", codec="libx265", length=40, gop=12), 15)
    # decord gives 40 frames, of which those from 13 on have the number of the one before
    assert [clips.number(frame.numpy()) for _, _, frame in Decord().stream(path)] == [*range(13), *range(14, 40), 39]
    prepare_here(list(index(root)), root, tmp_path / "out", recipe)
    [skipped] = read_skipped(tmp_path / "out")
    assert skipped.reason == "is damaged: 39 of 40 frames can be decoded"


def test_prepare_leaves_damaged_frames_out_and_says_how_many(
    head: Frames, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "root", tmp_path / "prepared"
    damaged(root / "real/damaged.mp4", head)
    write(root / "real/whole.mp4", long(head), gop=12)
    (root / "fake").mkdir()
    prepare_here(list(index(root)), root, out, recipe)
    assert read_skipped(out) == []
    assert read_damage(out) == [
        Damage(video="folder/real//damaged", path="real/damaged.mp4", damaged=len(lost(root)), frames=48)
    ]
    for table in ("faces", "crops"):
        frames: dict[str, set[int]] = {}
        for row in load(out / f"{table}.arrow").to_pylist():
            frames.setdefault(row["video"], set()).add(row["frame"])
        assert frames["folder/real//damaged"] == frames["folder/real//whole"] - lost(root)
    where = ["--data", str(ROOT / "configs/data/folder.yaml"), "--data.root", str(root), "--data.prepared", str(out)]
    how = ["--size", "64", "--frames", "8", "--workers", "1"]
    prepare(["prepare", *where, *how])
    told = capsys.readouterr().out
    assert f"{len(lost(root))} damaged frames of 1 videos left out, most of real/damaged.mp4" in told


def test_a_file_without_damage_is_decoded_once(
    head: Frames, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Video(dataset="d", method="real", stem="a", path="a.mp4", label=0, split="test", identities="a")
    write(tmp_path / "a.mp4", head)
    monkeypatch.setattr("datamodules.prepared.prepare.find_damage", None)
    prepare_here([row], tmp_path, tmp_path / "out", recipe)
    assert len(load(tmp_path / "out/crops.arrow")) == 8


def lost(root: Path) -> set[int]:
    path = root / "real/damaged.mp4"
    return set(np.flatnonzero(find_damage(path, probe(path))).tolist())


def test_doctor_reports_damaged_frames(head: Frames, tmp_path: Path) -> None:
    damaged(tmp_path / "real/damaged.mp4", head)
    (tmp_path / "fake").mkdir()
    [row] = index(tmp_path)
    found = check_decoded(row, tmp_path, PyAV(), 32)
    assert found == [Finding("damaged", "real/damaged.mp4", f"{len(lost(tmp_path))} of 48 frames are damaged")]


def test_doctor_reports_damage_once_and_counts_no_video_of_it_as_lacking(head: Frames, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for path in ("real/a.mp4", "masks/b.mp4"):
        damaged(root / path, head)
    (root / "fake").mkdir()
    write(root / "fake/b.mp4", long(head), gop=12)
    both = ["fake/b.mp4", "real/a.mp4"]
    about = [Damage(video=f"folder/{path[:-4].replace('/', '//')}", path=path, damaged=20, frames=48) for path in both]
    (tmp_path / "prepared").mkdir()
    write_damage(tmp_path / "prepared", about)
    for options, paths in (((), both), (("--decode", "--workers", "1"), ["masks/b.mp4", "real/a.mp4"])):
        report: dict[str, Any] = examine("folder", root, *options)
        assert [one["path"] for one in report["findings"] if one["kind"] == "damaged"] == paths
        assert report["wrong"] == []


def test_detect_scores_no_damaged_frame_says_so_and_abstains_above_a_share(
    head: Frames, small: Path, tmp_path: Path
) -> None:
    path = damaged(tmp_path / "clip.mp4", head)
    broken = set(np.flatnonzero(find_damage(path, probe(path))).tolist())

    def look(**usable: float) -> tuple[dict[str, Any], str]:
        settings = DetectSettings(frames=48, usable=Usable(side=20, frames=2, sharpness=0.0, **usable), device="cpu")
        content = Analyzer([small], settings).analyze(path, tmp_path / "out", True, lambda *_: None)
        jsonschema.validate(content.to_json(), SCHEMA)
        assert content.file.damaged == len(broken)
        return content.to_json(), (tmp_path / "out/page.html").read_text()

    content, page = look(damaged=0.5)
    assert content["verdict"] != "no verdict"
    [method] = content["faces"][0]["methods"]
    assert {one["frame"] for one in method["frames"]} == set(range(48)) - broken
    assert content["faces"][0]["frames"] == 48 - len(broken)
    assert f"{len(broken)} of 48 frames are damaged" in page
    content, page = look()
    assert content["verdict"] == "no verdict"
    assert content["reasons"] == [f"{len(broken)} of 48 frames are damaged, must be at most 5%"]
    assert all(face["verdict"] == "no verdict" for face in content["faces"])
    assert content["reasons"][0] in page
