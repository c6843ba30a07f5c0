"""Writing videos: the same bits for the same images, whatever the machine does beside."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from datamodules.runtime.atomic_files import write_atomically

Image = NDArray[np.uint8]
Codec = Literal["libx264", "libx265"]
TICKS = 90_000  # of a second
# one thread, since bits depend on their number; without macroblock trees, in which x264 165 with its assembler made
# other bits in one of five runs
ALIKE = {
    "libx264": {"x264-params": "mbtree=0"},
    "libx265": {"x265-params": "pools=1:frame-threads=1:log-level=none"},
}


def write(
    path: Path,
    frames: Iterable[tuple[float, Image]],
    fps: float,
    crf: int,
    codec: Codec = "libx264",
    preset: str = "veryfast",
) -> None:
    """Encodes (H, W, 3) or grey (H, W) frames, each at its time in seconds; the file appears only when complete.

    Args:
        crf: Constant rate factor of the encoder; 0 is lossless.
    """
    with write_atomically(path) as part, av.open(str(part), "w", format="mp4") as container:
        options = {"crf": str(crf), "preset": preset, **ALIKE[codec]}
        stream = container.add_stream(codec, rate=max(1, round(fps)), options=options)
        # what is to be kept keeps its colours, too
        stream.pix_fmt, stream.thread_count = "yuv420p" if crf else "yuv444p", 1
        stream.codec_context.time_base = Fraction(1, TICKS)
        for i, (seconds, image) in enumerate(frames):
            if i == 0:
                if not crf and image.ndim == 2:  # its full range is coded: the other one has 220 levels
                    stream.pix_fmt = "yuvj444p"
                stream.height, stream.width = image.shape[:2]
            layout = "rgb24" if image.ndim == 3 else "gray"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), layout)
            frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_h264(path: Path, frames: Iterable[Image], fps: int, crf: int) -> None:
    """At a constant rate, as the data sets of the field are shipped."""
    write(path, ((i / fps, image) for i, image in enumerate(frames)), fps, crf)
