"""Writing H.264, as the data sets of the field are shipped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from datamodules.atomic import appearing


def write_h264(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int, crf: int) -> None:
    """Encodes (H, W, 3) or grey (H, W) frames; the file appears only when it is complete."""
    with appearing(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "preset": "veryfast"})
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for i, picture in enumerate(frames):
            if i == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, "rgb24" if picture.ndim == 3 else "gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
