"""An annotated copy is heard as its source is: in step with its images, whatever the sound was coded as."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.media.video import probe
from suite.detect.analyzer import Analyzer, DetectSettings
from tests.fixtures.detecting import EASY, small
from tests.fixtures.head_clips import Frames, head

__all__ = ["head", "small"]  # fixtures

BEGIN = 0.4  # seconds of the video, at which a tone begins


def write_clip(path: Path, frames: Frames, codec: str, rate: int, late: float) -> Path:
    """
    Args:
        late: Seconds from the first sound to the first image.
    """
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(1.5 * rate)) / rate)
    wave[: round((late + BEGIN) * rate)] = 0
    with av.open(str(path), "w") as container:
        seen = container.add_stream("libx264", rate=25)
        seen.height, seen.width, seen.pix_fmt = *frames.shape[1:3], "yuv420p"
        heard = container.add_stream(codec, rate=rate, layout="mono")
        packets = []
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = 40 * i + round(1000 * late), Fraction(1, 1000)
            packets += seen.encode(frame)
        for at in range(0, len(wave), 1024):
            samples = (wave[None, at : at + 1024] * 32767).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            sound.sample_rate, sound.pts, sound.time_base = rate, at, Fraction(1, rate)
            packets += heard.encode(sound)
        packets += seen.encode() + heard.encode()
        for packet in sorted(packets, key=lambda one: float(one.dts * one.time_base)):
            container.mux(packet)
    return path


def heard(path: Path) -> tuple[str, float, float]:
    """What the sound is coded as, the second of the video at which a tone begins, and its pitch."""
    with av.open(str(path)) as container:
        track, images = container.streams.audio[0], container.streams.video[0]
        assert images.time_base is not None
        first = float((images.start_time or 0) * images.time_base)
        codec, rate, at = track.codec_context.codec.canonical_name, track.codec_context.rate, None
        parts: list[NDArray[np.float64]] = []
        for frame in container.decode(track):
            at = frame.time if at is None else at
            samples = frame.to_ndarray()[0]
            parts.append(samples / (32768 if samples.dtype == np.int16 else 1))
    wave = np.concatenate(parts)
    begin = int(np.argmax(np.abs(wave) > 0.2))
    tone = wave[begin + 1000 : begin + 1000 + rate // 4]
    pitch = float(np.argmax(np.abs(np.fft.rfft(tone)))) * rate / len(tone)
    assert at is not None
    return codec, at + begin / rate - first, pitch


@pytest.mark.parametrize("late", [0.0, 0.3])
@pytest.mark.parametrize(("codec", "rate", "kept"), [("aac", 44100, "aac"), ("pcm_s16le", 22050, "aac")])
def test_a_tone_is_heard_when_it_was(
    codec: str, rate: int, kept: str, late: float, head: Frames, small: Path, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "clip.mkv", head, codec, rate, late)
    assert heard(path) == (codec, pytest.approx(BEGIN, abs=0.03), pytest.approx(440, abs=5))
    Analyzer([small], DetectSettings(frames=4, usable=EASY, device="cpu")).analyze(
        path, tmp_path / "out", True, lambda *_: None
    )
    made = tmp_path / "out/annotated.mp4"
    assert heard(made) == (kept, pytest.approx(BEGIN, abs=0.03), pytest.approx(440, abs=5))
    np.testing.assert_allclose(probe(made).times, 0.04 * np.arange(len(head)), atol=2e-3)


def test_without_a_sound_that_an_mp4_can_hold_there_are_the_images(head: Frames, small: Path, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", head, "pcm_s16le", 37800, 0.0)
    Analyzer([small], DetectSettings(frames=4, usable=EASY, device="cpu")).analyze(
        path, tmp_path / "out", True, lambda *_: None
    )
    with av.open(str(tmp_path / "out/annotated.mp4")) as made:
        assert not made.streams.audio
    assert len(probe(tmp_path / "out/annotated.mp4")) == len(head)
