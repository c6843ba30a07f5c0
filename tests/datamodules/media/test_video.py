"""Each decoder returns the right frames or raises, on every clip that is known to trip one."""

from __future__ import annotations

import gc
import pickle
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from datamodules.media.probe import VideoError, probe
from datamodules.media.video import Auto, Decoder, Decord, PyAV, TorchCodec
from datamodules.runtime.errors import UserError
from tests.fixtures import clips
from tests.fixtures.needs import torchcodec_missing

DECODERS = [
    pytest.param(Auto(), id="auto"),
    pytest.param(Decord(), id="decord"),
    pytest.param(PyAV(), id="pyav"),
    pytest.param(PyAV(num_threads=0), id="pyav-threads"),
    pytest.param(
        TorchCodec(), id="torchcodec", marks=pytest.mark.skipif(bool(torchcodec_missing()), reason=torchcodec_missing())
    ),
]
# what a backend may refuse, and must refuse rather than get wrong
REFUSED = {
    Auto: {"transport.ts"},
    Decord: {"edit_list.mp4", "edit_list_open_gop.mp4", "transport.ts", "odd_size.avi", "vp9.webm"},
    PyAV: {"transport.ts"},
    TorchCodec: {"transport.ts"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(params=list(clips.MAKERS), scope="module")
def clip(request: pytest.FixtureRequest, folder: Path) -> Path:
    path = folder / request.param
    return path if path.exists() else clips.MAKERS[request.param](path)


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_frame_is_the_right_one_or_the_file_is_refused(decoder: Decoder, clip: Path) -> None:
    if clip.name in REFUSED[type(decoder)]:
        with pytest.raises(VideoError, match=clip.name):
            list(decoder.stream(clip))
        return
    first = clips.FIRST.get(clip.name, 0)
    length = 1 if clip.name.startswith("one_frame") else clips.LENGTH - first
    assert [clips.number(frame.numpy()) - first for _, _, frame in decoder.stream(clip)] == list(range(length))
    asked = np.random.default_rng(0).integers(0, length, 12).tolist()
    assert [clips.number(frame.numpy()) - first for frame in decoder.read(clip, asked)] == asked
    for one in asked[:4]:
        assert clips.number(decoder.read(clip, [one])[0].numpy()) - first == one


def test_without_the_libraries_of_ffmpeg_torchcodec_is_refused_and_not_the_video(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders = pytest.importorskip("torchcodec.decoders", exc_type=ImportError)

    def absent(*_: object, **__: object) -> None:
        raise RuntimeError("Could not load libtorchcodec. Likely causes: ...")

    monkeypatch.setattr(decoders, "VideoDecoder", absent)
    path = clips.MAKERS["variable_rate.mp4"](folder / "absent.mp4")
    with pytest.raises(UserError, match="FFmpeg's libraries") as refusal:
        list(TorchCodec().stream(path))
    assert not isinstance(refusal.value, VideoError)


def test_times_follow_a_variable_frame_rate(folder: Path) -> None:
    path = clips.MAKERS["variable_rate.mp4"](folder / "times.mp4")
    expected = [(40 * i + 13 * (i % 3) + (200 if i > 60 else 0)) / 1000 for i in range(clips.LENGTH)]
    np.testing.assert_allclose(probe(path).times, expected, atol=1e-3)


def broken(folder: Path) -> dict[str, Path]:
    whole = clips.write(folder / "whole.mp4", options={"movflags": "faststart"}).read_bytes()
    matroska = clips.write(folder / "whole.mkv").read_bytes()
    late_index = clips.write(folder / "late.mp4").read_bytes()
    contents = {
        "empty.mp4": b"",
        "text.mp4": b"not a video\n" * 100,
        "cut.mp4": whole[: len(whole) * 6 // 10],
        "cut.mkv": matroska[: len(matroska) * 6 // 10],
        "no_index.mp4": late_index[: len(late_index) * 6 // 10],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    clips.sound(folder / "sound.mp4")
    Image.fromarray(clips.barcode(3)).save(folder / "image.mp4", format="PNG")
    (folder / "folder.mp4").mkdir()
    return {name: folder / name for name in [*contents, "sound.mp4", "image.mp4", "folder.mp4", "missing.mp4"]}


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_broken_file_raises_one_error_that_names_it(decoder: Decoder, tmp_path: Path) -> None:
    for name, path in broken(tmp_path).items():
        with pytest.raises(VideoError, match=name) as caught:
            list(decoder.stream(path))
        assert caught.value.path == path
        assert caught.value.reason
        with pytest.raises(VideoError, match=name):
            decoder.read(path, [0])


@pytest.mark.parametrize("decoder", DECODERS)
def test_damage_inside_a_file_is_never_a_short_clip(decoder: Decoder, tmp_path: Path) -> None:
    content = bytearray(clips.write(tmp_path / "damaged.mp4").read_bytes())
    middle = len(content) // 3
    content[middle : middle + 600] = bytes(600)
    (tmp_path / "damaged.mp4").write_bytes(content)
    try:
        frames = list(decoder.stream(tmp_path / "damaged.mp4"))
    except VideoError as error:
        assert "damaged.mp4" in str(error)
    else:
        assert len(frames) == clips.LENGTH


def test_a_frame_that_does_not_exist_is_refused_by_number(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "short.mp4", length=5)
    with pytest.raises(VideoError, match="frames 0 to 4, asked for 5"):
        Decord().read(path, [1, 5])


def test_an_error_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(VideoError(Path("a.mp4"), "is cut short")))
    assert (error.path, error.reason) == (Path("a.mp4"), "is cut short")


def test_a_decord_without_cuda_names_both_remedies(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.mp4", length=5)
    with pytest.raises(UserError, match=r"USE_CUDA=ON.*TorchCodec"):
        Decord(device="cuda:0").read(path, [0])


@pytest.mark.parametrize("decoder", DECODERS)
def test_many_openings_do_not_leak(decoder: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.mp4", length=10)
    process = psutil.Process()
    for _ in range(50):
        decoder.read(path, [0, 5])
    gc.collect()
    before, files, threads = process.memory_info().rss, process.num_fds(), process.num_threads()
    for _ in range(150):
        decoder.read(path, [0, 5])
    gc.collect()
    assert process.memory_info().rss - before < 6e6  # both frames of each kept would be 8 MB
    assert process.num_fds() <= files
    assert process.num_threads() <= threads


@pytest.fixture(scope="module")
def large(folder: Path) -> Path:
    return clips.write(folder / "large.mp4", length=150, size=(1280, 720))


@pytest.mark.parametrize("decoder", DECODERS)
def test_nothing_decodes_on_after_a_read(decoder: Decoder, large: Path) -> None:
    process = psutil.Process()
    decoder.read(large, [0])
    gc.collect()
    before, seconds = process.memory_info().rss, process.cpu_times().user
    time.sleep(1.0)
    # the whole clip decoded would be 415 MB
    assert process.memory_info().rss - before < 30e6
    assert process.cpu_times().user - seconds < 0.3
