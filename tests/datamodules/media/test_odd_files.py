"""Files that are odd, not hostile: each costs one line that says why, or works as any other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import pytest

from datamodules.datasets.doctor import check_decoded
from datamodules.datasets.folder import index
from datamodules.media.damage import find_damage
from datamodules.media.matroska import find_fault
from datamodules.media.probe import VideoError, probe
from datamodules.media.timescale import lacks_timescale
from datamodules.media.video import Auto, PyAV
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import read_manifest, read_skipped
from suite.detect.analyzer import Analyzer, DetectSettings
from suite.detect.command import detect
from suite.prepare import main as prepare
from tests.conftest import ROOT
from tests.fixtures import clips
from tests.fixtures.detecting import EASY, small
from tests.fixtures.head_clips import Frames, copied, head, with_sound, write
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.reading import examine

__all__ = ["head", "small"]  # fixtures
SETTINGS = DetectSettings(frames=4, usable=EASY, device="cpu")


def replace(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def tagged(path: Path, frames: Frames) -> Path:
    """With a title in Latin-1."""
    source = write(path.with_name(f"plain_{path.name}"), frames)
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        new.metadata["title"] = "the title"
        track = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = track
                new.mux(packet)
    source.unlink()
    return replace(path, b"the title", "th\xe9 t\xeftl\xe9".encode("latin-1"))


def test_tags_in_another_encoding_do_not_matter(head: Frames, small: Path, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "in/real").mkdir(parents=True)
    (tmp_path / "in/fake").mkdir()
    path = tagged(tmp_path / "in/real/clip.mp4", head)
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    assert Analyzer([small], SETTINGS).analyze(path, tmp_path / "out", True, lambda *_: None).verdict != "no verdict"
    [row] = index(tmp_path / "in")
    assert check_decoded(row, tmp_path / "in", PyAV(), 8) == []
    prepare_here([row], tmp_path / "in", tmp_path / "prepared", recipe)
    assert read_skipped(tmp_path / "prepared") == []


def test_a_codec_that_ffmpeg_does_not_know_is_a_reason_of_that_file_alone(
    head: Frames, recipe: Recipe, tmp_path: Path
) -> None:
    for folder in ("real", "fake"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    write(tmp_path / "in/real/good.mp4", head)
    odd = copied(tmp_path / "in/real/good.mp4", tmp_path / "in/fake/odd.mkv")
    replace(odd, b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/AVC")
    reason = "its images are in a codec that FFmpeg does not know"
    with pytest.raises(VideoError, match=reason):
        probe(odd)
    rows = list(index(tmp_path / "in"))
    prepare_here(rows, tmp_path / "in", tmp_path / "prepared", recipe)
    assert [one.reason for one in read_skipped(tmp_path / "prepared")] == [reason]
    assert [row.path for row in read_manifest(tmp_path / "prepared")] == ["real/good.mp4"]
    assert [one.text for row in rows for one in check_decoded(row, tmp_path / "in", PyAV(), 8)] == [reason]


def test_sound_in_a_codec_that_ffmpeg_does_not_know_is_left_out(head: Frames, small: Path, tmp_path: Path) -> None:
    with av.open(str(with_sound(write(tmp_path / "clip.mp4", head)))) as old:
        path = tmp_path / "clip.mkv"
        with av.open(str(path), "w") as new:
            tracks = [new.add_stream_from_template(one) for one in old.streams]
            for packet in old.demux():
                if packet.dts is not None:
                    packet.stream = tracks[packet.stream.index]
                    new.mux(packet)
    replace(path, b"A_AAC", b"A_XYZ")
    document = Analyzer([small], SETTINGS).analyze(path, tmp_path / "out", True, lambda *_: None)
    assert document.verdict != "no verdict"
    with av.open(str(tmp_path / "out/annotated.mp4")) as made:
        assert not made.streams.audio


@pytest.mark.parametrize("box", [b"mvhd", b"mdhd"])
def test_a_timescale_of_0_is_refused(box: bytes, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.mp4", length=12)
    assert not lacks_timescale(path)
    content = bytearray(path.read_bytes())
    at = content.index(box) + 16  # its name, version and flags, two dates
    assert int.from_bytes(content[at : at + 4], "big") in (1000, 12800)
    content[at : at + 4] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(VideoError, match="has a timescale of 0: when its frames are shown is unknown"):
        probe(path)


def test_boxes_that_make_no_sense_are_left_to_the_decoder(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for content in (b"", b"\0\0\0", b"\0\0\0\1moov", b"\0\0\0\x08moov" * 5000, b"\0\0\0\x0emvhd\1", b"\0\0\0\0free"):
        path.write_bytes(content)
        assert not lacks_timescale(path)


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif", ".apng"])
def test_an_image_that_moves_is_judged_as_a_clip(suffix: str, head: Frames, small: Path, tmp_path: Path) -> None:
    path, images = tmp_path / f"moving{suffix}", [PIL.Image.fromarray(frame) for frame in head[:8]]
    shape = {"format": "PNG"} if suffix == ".apng" else {"lossless": True} if suffix == ".webp" else {}
    images[0].save(path, save_all=True, append_images=images[1:], duration=[40, 80, *[40] * 6], **shape)
    content = probe(path)
    np.testing.assert_allclose(content.times, [0.0, 0.04, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32])
    assert not find_damage(path, content).any()
    frames = Auto().read(path, [6, 1]).numpy()
    assert np.abs(frames.astype(int) - head[[6, 1]]).max() <= (96 if suffix == ".gif" else 0)
    document = Analyzer([small], SETTINGS).analyze(path, tmp_path / "out", True, lambda *_: None)
    assert (document.file.frames, document.file.seconds) == (8, 0.32)
    assert document.faces[0].frames == 8
    assert set(document.files) == {"page", "video"}


def test_a_moving_image_under_the_name_of_another_is_one_too_and_a_cut_one_is_refused(tmp_path: Path) -> None:
    images = [PIL.Image.fromarray(clips.barcode(i)) for i in range(6)]
    for kind in ("webp", "png", "gif"):
        path = tmp_path / f"{kind}.png"
        images[0].save(path, format=kind, save_all=True, append_images=images[1:], duration=40)
        assert len(probe(path)) == 6
        assert [clips.number(frame.numpy()) for _, _, frame in PyAV().stream(path)] == list(range(6))
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        with pytest.raises(VideoError):
            list(PyAV().stream(path))
    pages: dict[str, Any] = {"save_all": True, "append_images": images[1:]}
    for kind, options in (("png", {}), ("tiff", pages)):
        path = tmp_path / f"one.{kind}"
        images[0].save(path, **options)  # the pages of a TIFF are no clip
        assert (len(probe(path)), probe(path).has_rate) == (1, False)


def test_a_webm_that_is_cut_or_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    path = clips.MAKERS["vp9.webm"](tmp_path / "clip.webm")
    content, broken = path.read_bytes(), tmp_path / "broken.webm"
    assert find_fault(path) == ""
    broken.write_bytes(content[:-1])
    with pytest.raises(VideoError, match=rf"is cut short: {len(content) - 1} of {len(content)} bytes"):
        probe(broken)
    middle = len(content) // 2
    broken.write_bytes(content[:middle] + b"inserted" + content[middle:])
    with pytest.raises(VideoError, match="is damaged at byte"):
        probe(broken)
    for size in range(0, 400, 7):
        broken.write_bytes(content[:size])
        assert find_fault(broken)


def test_a_webm_of_a_live_recording_has_no_fault_where_it_is_whole(tmp_path: Path) -> None:
    path = clips.MAKERS["vp9.webm"](tmp_path / "clip.webm")

    class Stream:
        """Nobody can go back in it: sizes are unknown."""

        content = bytearray()

        def write(self, more: bytes) -> int:
            self.content += more
            return len(more)

    with av.open(str(path)) as old, av.open(Stream(), "w", format="webm") as new:
        track = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.size:
                packet.stream = track
                new.mux(packet)
    live = tmp_path / "live.webm"
    live.write_bytes(Stream.content)
    assert find_fault(live) == ""
    assert len(probe(live)) == clips.LENGTH
    live.write_bytes(Stream.content[: len(Stream.content) // 2])
    assert find_fault(live).startswith("is cut short")


NAME = os.fsdecode(b"caf\xe9.mp4")


def test_detect_reads_a_file_whose_name_is_not_utf_8(
    head: Frames, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "clip.mp4", head).rename(tmp_path / "in" / NAME)
    (tmp_path / "in" / os.fsdecode(b"bad\xe9.mp4")).write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"1 of 2 files could not be examined: .*bad\\xe9.mp4: Invalid data"):
        detect([tmp_path / "in"], [small], tmp_path / "out", True, SETTINGS)
    assert r"in/caf\xe9.mp4: " in capsys.readouterr().out
    assert r"caf\xe9.mp4" in (tmp_path / "out" / r"caf\xe9.mp4" / "page.html").read_text()


def test_a_data_set_leaves_out_what_has_a_name_that_is_not_utf_8_and_says_so(
    head: Frames, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    for folder in ("real", "fake"):
        (root / folder).mkdir(parents=True)
    write(root / "real/good.mp4", head)
    write(root / "fake/odd.mp4", head).rename(root / "fake" / NAME)
    where = ["--data", str(ROOT / "configs/data/folder.yaml"), "--data.root", str(root)]
    prepare(["prepare", *where, "--data.prepared", str(tmp_path / "p"), "--size", "64", "--workers", "1"])
    told = capsys.readouterr().out
    assert r"1 issue found, first fake/caf\xe9.mp4 (corrupt): its name, or that of its mask, is not UTF-8" in told
    assert [row.path for row in read_manifest(tmp_path / "p")] == ["real/good.mp4"]
    report = examine("folder", root)
    assert [one["path"] for one in report["findings"] if one["kind"] == "corrupt"] == [r"fake/caf\xe9.mp4"]  # type: ignore[attr-defined]
