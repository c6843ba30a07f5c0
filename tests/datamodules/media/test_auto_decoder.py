"""decord reads what it is right on and PyAV the rest, and nobody can tell from the bits."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datamodules.media.parameter_sets import sequence_headers
from datamodules.media.probe import VideoError, probe
from datamodules.media.video import Auto, Decord, PyAV, TorchCodec
from datamodules.prepared.contract import compare
from datamodules.runtime.errors import UserError
from tests.fixtures import clips

LENGTH = 12
COLOURS = np.random.default_rng(0).integers(0, 255, (clips.HEIGHT + 1, clips.WIDTH + 1, 3), dtype=np.uint8)
H264 = {"options": {"x264-params": "colormatrix=smpte170m"}}
BT709 = {"options": {"x264-params": "colormatrix=bt709"}}
HEVC = {"codec": "libx265", "options": {"x265-params": "log-level=error"}}
VP9 = {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}
ODD = (clips.WIDTH + 1, clips.HEIGHT + 1)

# files that decord is right on
RIGHT: dict[str, dict[str, Any]] = {
    "bt601.mp4": H264,
    "bt709.mp4": BT709,
    "bt601_full.mp4": H264 | {"pixels": "yuvj420p"},
    "bt709_full.mp4": BT709 | {"pixels": "yuvj420p"},
    "422.mp4": {"pixels": "yuv422p"},
    "444.mp4": {"pixels": "yuv444p"},
    "odd_444.mp4": {"pixels": "yuv444p", "size": ODD},
    "grey.mp4": {"pixels": "gray"},
    "odd_chroma.mp4": {"size": (142, 62)},
    "interlaced.mp4": {"options": {"x264-params": "tff=1"}},
    "open_gop.mp4": {"options": clips.OPEN_GOP},
    "hevc.mp4": HEVC,
    "hevc_bt709.mkv": {"codec": "libx265", "options": {"x265-params": "log-level=error:colormatrix=bt709"}},
    "variable_rate.mkv": {"pts": lambda i: 40 * i + 13 * (i % 3)},
    "h264.avi": {"options": {"bf": "0"}},
    "h264.flv": {},
}
# files on which it is wrong, or rounds otherwise, or that nobody has looked at
WRONG: dict[str, dict[str, Any]] = {
    "10_bit.mp4": {"pixels": "yuv420p10le"},
    "hevc_10_bit.mp4": HEVC | {"pixels": "yuv420p10le"},
    "odd_height.mp4": {"codec": "mpeg4", "size": ODD},
    "transparent.mov": {"codec": "png", "pixels": "rgba"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "vp9.webm": VP9,
    "mpeg1.mpg": {"codec": "mpeg1video", "options": {"bf": "2"}},
    "animated.gif": {"codec": "gif", "pixels": "rgb8", "options": {}},
}


def draw(i: int, width: int, height: int) -> NDArray[np.uint8]:
    return np.roll(COLOURS, 3 * i, 1)[:height, :width].copy()


def write(path: Path, how: dict[str, Any]) -> Path:
    return clips.write(path, length=LENGTH, draw=draw, **how)


def frames(decoder: Auto | PyAV | Decord, path: Path) -> list[torch.Tensor]:
    return [frame for _, _, frame in decoder.stream(path)]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", RIGHT)
def test_decord_reads_what_it_is_right_on_and_pyav_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, RIGHT[name])
    assert Decord.objection(probe(path), LENGTH) == ""
    both = frames(Decord(), path), frames(PyAV(), path)
    assert len(both[0]) == LENGTH
    assert same(*both)
    assert same(frames(Auto(), path), both[1])


@pytest.mark.parametrize("name", WRONG)
def test_pyav_reads_the_rest_and_decord_refuses_it(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, WRONG[name])
    found = frames(Auto(), path)
    assert len(found) == LENGTH
    assert found[0].shape[2] == 3
    assert same(found, frames(PyAV(num_threads=2), path))
    with pytest.raises(VideoError, match=rf"{name}: .*use datamodules.media.video.Auto"):
        Decord().read(path, [0])


@pytest.mark.parametrize("name", ["edit_list.mp4", "rotated.mp4"])
def test_cut_and_turned_files_are_read(name: str, tmp_path: Path) -> None:
    path = clips.MAKERS[name](tmp_path / name)
    first = clips.FIRST.get(name, 0)
    assert clips.number(Auto().read(path, [20])[0].numpy()) == first + 20


def changing(path: Path, second: dict[str, Any]) -> Path:
    """H.264 of which the second half has another header than the first, as video calls leave it."""
    plain = {"x264-params": "bframes=0:colormatrix=smpte170m"}
    parts = [
        write(path.with_name("first.avi"), {"options": plain}),
        write(path.with_name("second.avi"), {"options": plain} | second),
    ]
    with av.open(str(path), "w") as new:
        track = None
        for i, part in enumerate(parts):
            with av.open(str(part)) as old:
                track = track or new.add_stream_from_template(old.streams.video[0])
                for packet in old.demux(video=0):
                    if packet.size:
                        packet.dts, packet.stream = packet.dts + i * LENGTH, track
                        packet.pts = packet.dts
                        new.mux(packet)
    return path


@pytest.mark.parametrize(
    "second", [{"size": (96, 48)}, {"options": {"x264-params": "bframes=0:colormatrix=bt709"}}], ids=["size", "colour"]
)
def test_of_a_file_that_changes_no_frame_is_brought_to_the_size_or_colour_of_the_first(
    second: dict[str, Any], tmp_path: Path
) -> None:
    path = changing(tmp_path / "changing.avi", second)
    assert probe(path).changes
    found = frames(Auto(), path)
    parts = [frames(PyAV(), tmp_path / name) for name in ("first.avi", "second.avi")]
    assert same(found, parts[0] + parts[1])


def test_what_decord_refuses_on_opening_is_read_by_pyav_and_what_breaks_later_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "clip.mp4", {})
    whole = frames(PyAV(), path)

    def failing(given: int) -> Callable[..., Any]:
        def decode(self: Decord, path: Path, *_: object) -> Any:
            yield from whole[:given]
            raise VideoError(path, "decord: no more")

        return decode

    monkeypatch.setattr(Decord, "decode", failing(0))
    assert same(frames(Auto(), path), whole)
    monkeypatch.setattr(Decord, "decode", failing(3))
    with pytest.raises(VideoError, match="no more"):
        frames(Auto(), path)


def test_where_there_is_no_decord_pyav_reads_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "clip.mp4", {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(Decord, "decode", None)
    assert len(frames(Auto(), path)) == LENGTH


def test_a_long_file_is_read_whole_by_pyav_and_in_part_by_decord(tmp_path: Path) -> None:
    index = probe(write(tmp_path / "clip.mp4", {}))
    object.__setattr__(index, "frame_bytes", 2**30)
    assert "12 GiB" in Decord.objection(index, LENGTH)
    assert Decord.objection(index, 4) == ""


def test_decoders_of_the_same_bits_are_one_family_and_a_gpu_is_another() -> None:
    assert {one.family for one in (Auto(), Decord(), PyAV())} == {"FFmpeg on cpu"}
    for once in ("Decord on cpu", "PyAV on cpu", "FFmpeg on cpu"):  # as folders and checkpoints were written
        compare({"decoder": Auto().family}, {"decoder": once}, "run")
    assert Auto(device="cuda").family == TorchCodec(device="cuda").family
    for other in (TorchCodec(), TorchCodec(device="cuda"), Decord(device="cuda")):
        with pytest.raises(UserError, match=f"decoder is 'FFmpeg on cpu' here and '{other.family}' there"):
            compare({"decoder": Auto().family}, {"decoder": other.family}, "run")


def test_matroska_may_begin_late(tmp_path: Path) -> None:
    path = write(tmp_path / "late.mkv", {"pts": lambda i: 3000 + 40 * i})
    assert len(frames(Auto(), path)) == LENGTH
    assert probe(path).times[0] == 0


@pytest.mark.parametrize(("pixels", "size"), [("yuvj422p", (142, 62)), ("yuv420p", (141, 61))])
def test_interlaced_files_that_pyav_cannot_take_apart_are_read(
    pixels: str, size: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "clip.mkv"
    options = {"codec": "mpeg2video", "options": {"flags": "+ilme+ildct"}} if pixels == "yuv420p" else {}
    if not options:
        options = {"options": {"x264-params": "tff=1"}}
    clips.write(path, pixels=pixels, size=size, length=4, **options)  # type: ignore[arg-type]
    assert PyAV().read(path, range(4)).shape == (4, size[1], size[0], 3)


def test_a_configuration_that_is_cut_off_names_no_length_of_lengths() -> None:
    codec = SimpleNamespace(codec=SimpleNamespace(canonical_name="hevc"), extradata=b"\x01\x02\x03\x04")
    packet = Packet(b"\x00\x00\x01\x42\x01sps\x00\x00\x01\x02\x01other")
    assert sequence_headers(packet, codec).startswith(b"\x42\x01sps")


class Packet(bytes):
    def has_sidedata(self, name: str) -> bool:
        return False


def test_of_two_video_tracks_every_decoder_reads_the_first(tmp_path: Path) -> None:
    path, frames = tmp_path / "two.mp4", (np.full((64, 64, 3), 30, np.uint8), COLOURS[:60, :64])
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25, options={"crf": crf}) for crf in ("40", "1")]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(LENGTH):
            for stream, pixels in zip(streams, frames, strict=True):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    index = probe(path)
    for decoder in (PyAV(), Auto()):
        assert decoder.read(path, [0, 5], index).float().mean() == pytest.approx(30, abs=1)
    for other in (Decord(), TorchCodec()):
        with pytest.raises(UserError, match=r"2 video tracks|torchcodec does not load"):
            other.read(path, [0, 5], index)
