"""What a file says of its frames before any is decoded, and the error that names a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from datamodules.media.animation import is_animated, list_times, open_image
from datamodules.media.image_sequence import IMAGE_SUFFIXES, ImageError, find_images, holds_images
from datamodules.media.matroska import find_fault
from datamodules.media.parameter_sets import sequence_headers
from datamodules.media.timescale import lacks_timescale
from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name

# containers, no playlists: those name other files and addresses, which FFmpeg would open
CONTAINERS = "mov,matroska,webm,avi,gif,mpegts,mpeg,flv,asf,ogg,mpegvideo,h264,hevc,ivf,webp_pipe,png_pipe,jpeg_pipe"
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
LARGEST = 2**26  # pixels of a frame, whatever its header says


class VideoError(UserError):
    """A video that cannot be read as it should be."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{format_name(path)}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # so that it crosses processes


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """What the container says of each frame that is shown, without decoding any."""

    times: NDArray[np.float64]  # (N,) seconds since the first; of images, the numbers in their names
    trimmed: bool = False  # an edit list hides some frames
    frame_bytes: int = 0
    has_rate: bool = True
    is_animated: bool = False  # an image that moves, which no decoder of videos reads
    container: str = ""  # as FFmpeg calls it
    codec: str = ""
    pixels: str = ""  # their format
    changes: bool = False  # a later frame may have another size or colour matrix
    tracks: int = 1  # of video; the first one is read

    def __len__(self) -> int:
        return len(self.times)

    @property
    def is_coded(self) -> bool:
        """Whether decoders of videos read it."""
        return self.has_rate and not self.is_animated

    @property
    def seconds(self) -> float:
        return float(self.times[-1]) if self.has_rate else 0.0

    @property
    def fps(self) -> float:
        return (len(self) - 1) / self.seconds if self.seconds else 0.0


def open_video(path: Path) -> Any:
    """The container, for reading; in what encoding its tags are is no concern of ours."""
    try:
        return av.open(str(path.absolute()), options=OPTIONS, metadata_errors="ignore")
    except av.ArgumentError as error:
        raise VideoError(path, f"is in no container that is read ({CONTAINERS.replace(',', ', ')})") from error


def list_video_streams(container: Any) -> list[Any]:
    """Its video tracks; the cover of an album is none."""
    return [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]


def find_video_stream(container: Any) -> Any:
    streams = list_video_streams(container)
    return streams[0] if streams else None


@contextmanager
def name_decoder_errors(path: Path, where: Callable[[], str] = str) -> Iterator[None]:
    """Whatever PyAV says of a file is an error of that file.

    Args:
        where: In the file, to begin the reason with.
    """
    try:
        yield
    except VideoError:
        raise
    # besides those of FFmpeg, numbers that Python cannot hold and texts in another encoding
    except (av.FFmpegError, OSError, ValueError, ArithmeticError) as error:
        raise VideoError(path, where() + (getattr(error, "strerror", None) or str(error))) from error


def probe(path: Path) -> Index:
    """Lists the frames of a clip without decoding any, and refuses what is cut short or is no video."""
    if holds_images(path):
        with name_errors(path):
            size = 0
            if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
                with open_image(path) as header:  # nothing is decoded
                    size, moves = 3 * header.width * header.height, is_animated(header)
                    kind = f"animated {header.format}"
                if moves:
                    return Index(times=list_times(path), frame_bytes=size, is_animated=True, container=kind)
            numbers = find_images(path).numbers
        if not len(numbers):
            raise VideoError(path, "has no images")
        return Index(times=numbers.astype(np.float64), frame_bytes=size, has_rate=False)
    with name_decoder_errors(path), open_video(path) as container:
        name = container.format.name
        if name.endswith("_pipe") or name == "image2":
            raise VideoError(path, f"an image ({name}), not a video; give it the suffix of its kind, for instance .jpg")
        if name == "mpegts":
            raise VideoError(path, "an MPEG transport stream has no index; copy it: ffmpeg -i IN.ts -c copy OUT.mp4")
        if name.startswith("mov,") and lacks_timescale(path):
            raise VideoError(path, "has a timescale of 0: when its frames are shown is unknown")
        if name.startswith("matroska,") and (fault := find_fault(path)):
            raise VideoError(path, fault)
        track = find_video_stream(container)
        if track is None:
            raise VideoError(path, "has no video track")
        if track.codec_context is None:
            raise VideoError(path, "its images are in a codec that FFmpeg does not know")
        times, hidden, packets, end = [], 0, 0, 0.0
        headers: set[bytes] = set()
        for packet in container.demux():
            if packet.pts is None or not packet.size:
                continue
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index == track.index:
                packets += 1
                hidden += packet.is_discard
                if packet.is_keyframe:
                    headers.add(sequence_headers(packet, track.codec_context))
                if not packet.is_discard:
                    times.append(float(packet.pts * packet.time_base))
        promised, duration = track.frames, (container.duration or 0) / av.time_base
        if not name.startswith("matroska"):  # which counts from zero, not from its first frame
            duration += (container.start_time or 0) / av.time_base
        size, tracks = 3 * track.width * track.height, len(list_video_streams(container))
        codec, pixels = track.codec_context.codec.canonical_name, track.codec_context.pix_fmt or ""
    if not times:
        raise VideoError(path, "has no frames")
    if packets < promised and name != "avi":  # which counts repeated frames that it has no packets of
        raise VideoError(path, f"is cut short: {packets} of {promised} frames")
    if duration - end > max(0.5, 0.02 * duration):
        raise VideoError(path, f"is cut short: {end:.2f} of {duration:.2f} s")
    shown = np.sort(np.asarray(times))
    return Index(
        times=shown - shown[0],
        trimmed=hidden > 0,
        frame_bytes=size,
        container=name,
        codec=codec,
        pixels=pixels,
        changes=len(headers) > 1,
        tracks=tracks,
    )


@contextmanager
def name_errors(path: Path) -> Iterator[None]:
    """Images that cannot be read are an error of the clip they belong to."""
    try:
        yield
    except (ImageError, OSError) as error:
        raise VideoError(path, getattr(error, "strerror", None) or str(error)) from error
