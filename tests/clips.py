"""Videos whose frames carry their number, in every container and coding that trips decoders."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 9
WIDTH, HEIGHT = 16 * BITS, 64
LENGTH = 120


def barcode(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """(H, W, 3): nine black or white columns, least bit left, and a band that moves so that motion is coded."""
    bits = (number >> np.arange(BITS)) & 1
    column = np.minimum(np.arange(width) * BITS // width, BITS - 1)
    picture = np.repeat(np.where(bits[column], 220, 30).astype(np.uint8)[None], height, 0)
    top = height * 3 // 4
    picture[top:] = (np.add.outer(np.arange(height - top) * 7, np.arange(width) * 3) + 5 * number) % 200 + 20
    return np.repeat(picture[..., None], 3, 2)


def number(picture: NDArray[np.uint8]) -> int:
    """What ``barcode`` drew, read back."""
    height, width = picture.shape[:2]
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    band = picture[height // 8 : height // 2, :, 1].astype(float)
    levels = np.array([band[:, x - 2 : x + 3].mean() for x in centres])
    return int(((levels > 125) << np.arange(BITS)).sum())


def write(
    path: Path,
    codec: str = "libx264",
    length: int = LENGTH,
    options: dict[str, str] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pts: Callable[[int], int] | None = None,
    gop: int = 24,
    draw: Callable[[int, int, int], NDArray[np.uint8]] = barcode,
    pixels: str = "yuv420p",
) -> Path:
    """
    Args:
        pts: Presentation time of each frame in 1/1000 s; 40 ms apart without it.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"x265-params": "log-level=error", **(options or {})})
        stream.width, stream.height = size
        stream.pix_fmt, stream.gop_size, stream.thread_count = pixels, gop, 1
        if pts:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(length):
            frame = av.VideoFrame.from_ndarray(draw(i, *size), "rgb24")
            if pts:
                frame.pts, frame.time_base = pts(i), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(source: Path, path: Path, first: int) -> Path:
    """A stream copy that begins in the middle of a group of pictures; an edit list hides what comes before."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = old.streams.video[0]
        stream = new.add_stream_from_template(track)
        packets = [p for p in old.demux(track) if p.dts is not None]
        times = sorted(p.pts for p in packets)
        keys = [p.pts for p in packets if p.is_keyframe and p.pts <= times[first]]
        start = next(i for i, p in enumerate(packets) if p.pts == keys[-1])
        for packet in packets[start:]:
            packet.pts, packet.dts, packet.stream = packet.pts - times[first], packet.dts - times[first], stream
            new.mux(packet)
    return path


def rotate(path: Path) -> Path:
    """Rewrites the display matrix of an mp4 to a quarter turn, as phones do."""
    content = path.read_bytes()
    one, zero, unit = (1 << 16).to_bytes(4, "big"), bytes(4), (1 << 30).to_bytes(4, "big")
    upright = one + zero * 3 + one + zero * 3 + unit
    track = content.index(b"tkhd")
    at = content.index(upright, track)
    turned = zero + one + zero + (-(1 << 16)).to_bytes(4, "big", signed=True) + zero * 4 + unit
    path.write_bytes(content[:at] + turned + content[at + len(upright) :])
    return path


def sound(path: Path) -> Path:
    """An mp4 without pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        for i in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16000, 1024 * i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0:keyint=24"}

MAKERS: dict[str, Callable[[Path], Path]] = {
    "closed_gop.mp4": lambda p: write(p),
    "long_gop.mp4": lambda p: write(p, gop=250),
    "open_gop.mp4": lambda p: write(p, options=OPEN_GOP),
    "hevc_open_gop.mp4": lambda p: write(p, "libx265", options={"x265-params": "log-level=error:keyint=24:open-gop=1"}),
    "hevc.mp4": lambda p: write(p, "libx265", options={"x265-params": "log-level=error:keyint=24:open-gop=0"}),
    "variable_rate.mp4": lambda p: write(p, pts=lambda i: 40 * i + 13 * (i % 3) + (200 if i > 60 else 0)),
    "edit_list.mp4": lambda p: cut(write(p.with_name("edit_source.mp4")), p, 10),
    "edit_list_open_gop.mp4": lambda p: cut(write(p.with_name("edit_open_source.mp4"), options=OPEN_GOP), p, 34),
    "rotated.mp4": lambda p: rotate(write(p, size=(WIDTH, 96), draw=lambda i, w, h: np.rot90(barcode(i, h, w)).copy())),
    "odd_size.avi": lambda p: write(p, "mpeg4", size=(WIDTH + 1, HEIGHT + 1)),
    "matroska.mkv": lambda p: write(p),
    "vp9.webm": lambda p: write(p, "libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
    "transport.ts": lambda p: write(p),
    "one_frame.mp4": lambda p: write(p, length=1),
}
# clips that start elsewhere than at frame 0
FIRST = {"edit_list.mp4": 10, "edit_list_open_gop.mp4": 34}


def packets(path: Path) -> list[tuple[int, int]]:
    """Where each begins in the file, and its bytes, in the order of decoding."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def damage(path: Path, packet: int) -> Path:
    """Turns bytes around in the middle of a packet."""
    at, size = packets(path)[packet]
    content = bytearray(path.read_bytes())
    for i in range(at + size // 3, at + size // 3 + min(40, size // 3)):
        content[i] ^= 0xFF
    path.write_bytes(content)
    return path


def drop(path: Path, packet: int) -> Path:
    """Makes filler data of a packet of HEVC: there is a time for its frame, and no frame."""
    content = bytearray(path.read_bytes())
    content[packets(path)[packet][0] + 4] = 38 << 1
    path.write_bytes(content)
    return path
