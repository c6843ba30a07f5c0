"""Clips of a rendered face with a tone, in four codings, of which bytes are flipped, cut off or put in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.staging import find_stranger
from datamodules.media.encode import ALIKE
from datamodules.studio.portrait import make_portrait
from datamodules.studio.scene import shoot
from datamodules.studio.shot import direct

FPS, GOP, RATE = 25, 4, 48_000
HEADERS = 3000  # bytes at either end of a file: in these, most are headers


@dataclass(frozen=True, slots=True)
class Coding:
    """How a clip is written."""

    suffix: str
    codec: str
    sound: str
    options: dict[str, str]


CODINGS = {
    "H.264": Coding(".mp4", "libx264", "aac", {"preset": "ultrafast", **ALIKE["libx264"]}),
    "HEVC": Coding(".mp4", "libx265", "aac", {"preset": "ultrafast", **ALIKE["libx265"]}),
    "VP9": Coding(".webm", "libvpx-vp9", "libopus", {"deadline": "realtime", "cpu-used": "8"}),
    "MPEG-4": Coding(".avi", "mpeg4", "ac3", {}),
}
KINDS = ("flip", "truncate", "insert")


def render_face(frames: int) -> list[NDArray[np.uint8]]:
    shot = direct(np.random.default_rng([99, 1]), 192, 160, frames)
    return [image for image, _ in shoot(make_portrait(find_stranger(1)), shot)]


def write_clip(path: Path, coding: Coding, frames: list[NDArray[np.uint8]]) -> bytes:
    """With a tone as long as its images."""
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(RATE * len(frames) // FPS) / RATE)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:  # without random numbers
        images = container.add_stream(coding.codec, rate=FPS, options=coding.options)
        images.height, images.width = frames[0].shape[:2]
        images.pix_fmt, images.gop_size, images.thread_count = "yuv420p", GOP, 1
        tone = container.add_stream(coding.sound, rate=RATE, layout="mono")
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            container.mux(images.encode(frame))
        container.mux(images.encode())
        for at in range(0, len(wave), 960):
            sound = av.AudioFrame.from_ndarray(wave[None, at : at + 960].astype(np.int16), "s16", "mono")
            sound.sample_rate, sound.pts, sound.time_base = RATE, at, Fraction(1, RATE)
            container.mux(tone.encode(sound))
        container.mux(tone.encode())
    return path.read_bytes()


def damage(content: bytes, kind: str, near_ends: bool, rng: np.random.Generator) -> bytes:
    """
    Args:
        near_ends: Whether only the ends of the file are touched, where headers are.
    """
    size = len(content)

    def place() -> int:
        if not near_ends:
            return int(rng.integers(size))
        at = int(rng.integers(min(HEADERS, size)))
        return at if rng.random() < 0.5 else size - 1 - at

    out = bytearray(content)
    if kind == "truncate":
        return content[: max(1, place())]
    if kind == "insert":
        at = place()
        return content[:at] + rng.bytes(int(rng.integers(1, 65))) + content[at:]
    for _ in range(int(rng.integers(1, 17))):
        out[place()] ^= int(rng.integers(1, 256))
    return bytes(out)


@dataclass(frozen=True, slots=True)
class DamagedClip:
    """One damaged file."""

    path: Path
    coding: str
    kind: str
    near_ends: bool
    original: Path


def make_cases(folder: Path, count: int, seed: int, frames: int) -> Iterator[DamagedClip]:
    """Files of every coding, kind of damage and place in turn, the same for the same seed."""
    face = render_face(frames)
    (folder / "real").mkdir(parents=True)
    originals = {name: folder / f"{one.codec}{one.suffix}" for name, one in CODINGS.items()}
    contents = {name: write_clip(originals[name], one, face) for name, one in CODINGS.items()}
    for i in range(count):
        coding = list(CODINGS)[i % len(CODINGS)]
        kind, near_ends = KINDS[i % len(KINDS)], i // (len(CODINGS) * len(KINDS)) % 2 == 1
        path = folder / "real" / f"{i:04d}{CODINGS[coding].suffix}"
        path.write_bytes(damage(contents[coding], kind, near_ends, np.random.default_rng([seed, i])))
        yield DamagedClip(path, coding, kind, near_ends, originals[coding])
