"""Reading videos: the right frames, or an error that names the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import Refused
from datamodules.pictures import PICTURES, PictureError, find, holds_pictures, pixels

# containers, no playlists: those name other files and addresses, which FFmpeg would open
CONTAINERS = "mov,matroska,webm,avi,gif,mpegts,mpeg,flv,asf,ogg,mpegvideo,h264,hevc,ivf,webp_pipe,png_pipe,jpeg_pipe"
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
LARGEST = 2**26  # pixels of a frame, whatever its header says
AHEAD = 4 * 2**30  # bytes of decoded frames that decord may pile up behind a slow reader


class VideoError(Refused):
    """A video that cannot be read as it should be."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # so that it crosses processes


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """What the container says of each frame that is shown, without decoding any."""

    times: NDArray[np.float64]  # (N,) seconds since the first; of pictures, the numbers in their names
    trimmed: bool = False  # an edit list hides some frames
    picture_bytes: int = 0
    has_rate: bool = True

    def __len__(self) -> int:
        return len(self.times)

    @property
    def seconds(self) -> float:
        return float(self.times[-1]) if self.has_rate else 0.0

    @property
    def fps(self) -> float:
        return (len(self) - 1) / self.seconds if self.seconds else 0.0


def film_of(container: Any) -> Any:
    """Its video track; the cover of an album is none."""
    films = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    return films[0] if films else None


def probe(path: Path) -> Index:
    """Lists the frames of a clip without decoding any, and refuses what is cut short or is no video."""
    if holds_pictures(path):
        with naming(path):
            numbers = find(path).numbers
            size = 3 * pixels(path) if path.is_file() and path.suffix.lower() in PICTURES else 0
        if not len(numbers):
            raise VideoError(path, "has no pictures")
        return Index(times=numbers.astype(np.float64), picture_bytes=size, has_rate=False)
    try:
        with av.open(str(path), options=OPTIONS) as container:
            name = container.format.name
            if name.endswith("_pipe") or name == "image2":
                raise VideoError(path, f"a picture ({name}), not a video")
            if name == "mpegts":
                raise VideoError(
                    path, "an MPEG transport stream has no index; copy it: ffmpeg -i IN.ts -c copy OUT.mp4"
                )
            track = film_of(container)
            if track is None:
                raise VideoError(path, "has no video track")
            times, hidden, packets, end = [], 0, 0, 0.0
            for packet in container.demux():
                if packet.pts is None or not packet.size:
                    continue
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream.index == track.index:
                    packets += 1
                    hidden += packet.is_discard
                    if not packet.is_discard:
                        times.append(float(packet.pts * packet.time_base))
            promised, duration = (
                track.frames,
                (container.duration or 0) / av.time_base + (container.start_time or 0) / av.time_base,
            )
            size = 3 * track.width * track.height
    except av.ArgumentError as error:
        raise VideoError(path, f"is in no container that is read ({CONTAINERS.replace(',', ', ')})") from error
    except (av.FFmpegError, OSError) as error:
        raise VideoError(path, error.strerror or str(error)) from error
    if not times:
        raise VideoError(path, "has no frames")
    if packets < promised:
        raise VideoError(path, f"is cut short: {packets} of {promised} frames")
    if duration - end > max(0.5, 0.02 * duration):
        raise VideoError(path, f"is cut short: {end:.2f} of {duration:.2f} s")
    shown = np.sort(np.asarray(times))
    return Index(times=shown - shown[0], trimmed=hidden > 0, picture_bytes=size)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Pictures that cannot be read are an error of the clip they belong to."""
    try:
        yield
    except (PictureError, OSError) as error:
        raise VideoError(path, getattr(error, "strerror", None) or str(error)) from error


def pictures(path: Path, wanted: Sequence[int]) -> Iterator[Tensor]:
    with naming(path):
        found = find(path)
        for i in wanted:
            yield torch.from_numpy(found.get(i))


class Decoder(ABC):
    """A way to read videos. Holds settings and no open file, so it can be copied to workers."""

    def __init__(self, device: str = "cpu", num_threads: int = 1) -> None:
        """
        Args:
            device: cpu, or cuda:N where the backend can decode there.
            num_threads: Of the decoder.
        """
        self.device, self.num_threads = torch.device(device), num_threads

    @abstractmethod
    def decode(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        """Yields the (H, W, 3) uint8 frames of ascending distinct indices."""

    def frames(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        return self.decode(path, index, wanted) if index.has_rate else pictures(path, wanted)

    def stream(self, path: Path) -> Iterator[tuple[int, float, Tensor]]:
        """Yields (number, seconds, (H, W, 3) uint8 frame) of every frame."""
        index = probe(path)
        frames = self.frames(path, index, range(len(index)))
        for i, frame in zip(range(len(index)), frames, strict=True):
            yield i, float(index.times[i]), frame

    def read(self, path: Path, indices: Sequence[int]) -> Tensor:
        """The (N, H, W, 3) uint8 frames in the order asked for, repeats allowed."""
        index = probe(path)
        wrong = [i for i in indices if not 0 <= i < len(index)]
        if wrong:
            raise VideoError(path, f"has frames 0 to {len(index) - 1}, asked for {wrong[0]}")
        wanted = sorted(set(indices))
        out: Tensor | None = None
        for place, frame in enumerate(self.frames(path, index, wanted)):
            if out is None:
                out = frame.new_empty(len(wanted), *frame.shape)
            if frame.shape != out.shape[1:]:
                raise VideoError(path, f"has frames of {tuple(out.shape[1:3])} and of {tuple(frame.shape[:2])} pixels")
            out[place] = frame
        if out is None:
            raise Refused("read: asked for no frame")
        return out if list(indices) == wanted else out[[wanted.index(i) for i in indices]]


class Decord(Decoder):
    """decord, read forward only: its seeks are off by some frames where groups of pictures are open."""

    def decode(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        import decord
        from decord.base import DECORDError

        if index.trimmed:
            raise VideoError(
                path, "an edit list hides frames, which decord gets wrong; use datamodules.video.TorchCodec"
            )
        if len(wanted) == len(index) and len(index) * index.picture_bytes > AHEAD:
            raise VideoError(
                path,
                f"decord may hold {len(index) * index.picture_bytes / 2**30:.0f} GiB; use datamodules.video.TorchCodec",
            )
        decord.logging.set_level(decord.logging.QUIET)
        context = decord.cpu(0) if self.device.type == "cpu" else decord.gpu(self.device.index or 0)
        try:
            reader = decord.VideoReader(str(path), ctx=context, num_threads=self.num_threads)
            if len(reader) != len(index):
                raise VideoError(
                    path, f"decord sees {len(reader)} frames of {len(index)}; use datamodules.video.TorchCodec"
                )
            kept = set(wanted)
            for i in range(max(wanted) + 1):
                frame = reader.next()
                if i in kept:
                    # dlpack: the frame is not copied
                    yield torch.utils.dlpack.from_dlpack(frame.to_dlpack())
        except (DECORDError, RuntimeError, IndexError, StopIteration) as error:
            if "CUDA not enabled" in str(error) or "GPU acceleration not available" in str(error):
                remedies = "build it with USE_CUDA=ON, or use datamodules.video.TorchCodec"
                raise Refused(f"this decord was built without CUDA: {remedies}") from error
            raise VideoError(path, f"decord: {(str(error).strip() or 'ended early').splitlines()[-1]}") from error
        finally:
            reader = None  # an open reader decodes the rest of the file into memory


class PyAV(Decoder):
    """FFmpeg as PyAV brings it: one frame at a time is in memory, bit for bit decord's where a colour has 8 bits."""

    def decode(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        if self.device.type != "cpu":
            raise Refused(f"PyAV decodes on the CPU, not on {self.device}; use datamodules.video.TorchCodec")
        kept, last, seen = set(wanted), max(wanted), 0
        try:
            with av.open(str(path), options=OPTIONS) as container:
                track = film_of(container)
                assert track is not None
                track.thread_count, track.thread_type = self.num_threads, "AUTO"
                track.codec_context.options = {"max_pixels": str(LARGEST)}
                for i, frame in enumerate(container.decode(track)):
                    seen += 1
                    if i in kept:
                        picture = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
                        yield torch.from_numpy(np.ascontiguousarray(picture))
                    if i == last and i < len(index) - 1:
                        return
        except av.FFmpegError as error:
            raise VideoError(path, f"frame {seen}: {error.strerror or error}") from error
        if seen != len(index):
            raise VideoError(path, f"{seen} of {len(index)} frames can be decoded")


class TorchCodec(Decoder):
    """torchcodec in its exact mode; on a GPU it decodes there and the frames stay there."""

    def decode(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        remedies = "'pip install deepfake-suite[torchcodec]' and FFmpeg's libraries ('apt install ffmpeg')"
        absent = f"torchcodec does not load; it needs {remedies}"
        try:
            from torchcodec.decoders import VideoDecoder
        except (ImportError, RuntimeError) as error:
            raise Refused(absent) from error
        try:
            decoder = VideoDecoder(
                str(path),
                seek_mode="exact",
                dimension_order="NHWC",
                num_ffmpeg_threads=self.num_threads,
                device=self.device,
            )
            if len(decoder) != len(index):
                raise VideoError(path, f"torchcodec sees {len(decoder)} frames of {len(index)}")
            begin = decoder.metadata.begin_stream_seconds or 0.0
            for i in wanted:
                frame = decoder.get_frame_at(i)
                if abs(frame.pts_seconds - begin - index.times[i]) > 0.002:
                    raise VideoError(path, f"torchcodec returned the frame of {frame.pts_seconds:.3f} s for number {i}")
                yield frame.data
        except Refused:
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            if "Could not load libtorchcodec" in str(error):  # looked for only now from torchcodec 0.17 on
                raise Refused(absent) from error
            if self.device.type != "cpu" and "CUDA" in str(error):
                raise Refused(f"torchcodec on {self.device}: {str(error).strip().splitlines()[0]}") from error
            raise VideoError(path, f"torchcodec: {str(error).strip().splitlines()[0]}") from error
