"""Reading videos: the right frames, or an error that names the file."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from torch import Tensor

from datamodules.media.animation import read_frames
from datamodules.media.decoder_family import ON_CPU
from datamodules.media.image_sequence import find_images
from datamodules.media.probe import (
    LARGEST,
    Index,
    VideoError,
    find_video_stream,
    name_decoder_errors,
    name_errors,
    open_video,
    probe,
)
from datamodules.runtime.errors import UserError

# one byte a colour, which every version of FFmpeg turns into the same RGB
EXACT = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray"}
AHEAD = 4 * 2**30  # bytes of decoded frames that decord may pile up behind a slow reader


def images(path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
    with name_errors(path):
        if index.is_animated:
            yield from map(torch.from_numpy, read_frames(path, wanted))
            return
        found = find_images(path)
        for i in wanted:
            yield torch.from_numpy(found.get(i))


class Decoder(ABC):
    """A way to read videos. Holds settings and no open file, so it can be copied to workers."""

    def __init__(self, device: str = "cpu", num_threads: int = 1) -> None:
        """
        Args:
            device: cpu, or cuda:N where the backend can decode there.
            num_threads: Number of threads of the decoder.
        """
        self.device, self.num_threads = torch.device(device), num_threads

    @property
    def family(self) -> str:
        """Who makes the pixels; two of one family give the same bits."""
        return f"{type(self).__name__} on {self.device.type}"

    @abstractmethod
    def decode(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        """Yields the (H, W, 3) uint8 frames of ascending distinct indices."""

    def watcher(self, index: Index) -> PyAV | None:
        """What gives the same bits and notes damage on the way, if there is such a decoder for a file."""
        return None

    def frames(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        return self.decode(path, index, wanted) if index.is_coded else images(path, index, wanted)

    def stream(self, path: Path, index: Index | None = None) -> Iterator[tuple[int, float, Tensor]]:
        """Yields (number, seconds, (H, W, 3) uint8 frame) of every frame."""
        index = index or probe(path)
        frames = self.frames(path, index, range(len(index)))
        for i, frame in zip(range(len(index)), frames, strict=True):
            yield i, float(index.times[i]), frame

    def read(self, path: Path, indices: Sequence[int], index: Index | None = None) -> Tensor:
        """The (N, H, W, 3) uint8 frames in the order asked for, repeats allowed."""
        index = index or probe(path)
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
            raise UserError("read: asked for no frame")
        return out if list(indices) == wanted else out[[wanted.index(i) for i in indices]]


class OnCPU(Decoder):
    """On the CPU, all of these give the same bits, whichever reads a file."""

    @property
    def family(self) -> str:
        return ON_CPU if self.device.type == "cpu" else super().family


class Watched(OnCPU):
    """On the CPU, read by PyAV where damage has to be noted."""

    def watcher(self, index: Index) -> PyAV | None:
        return PyAV() if index.is_coded and self.device.type == "cpu" else None


class Decord(OnCPU):
    """decord, read forward only: its seeks are off by some frames where groups of pictures are open."""

    @staticmethod
    def objection(index: Index, count: int) -> str:
        """Why decord would be wrong, or give other bits than PyAV; empty where it is right.

        Args:
            count: Number of frames wanted.
        """
        if index.trimmed:
            return "an edit list hides frames, which decord gets wrong"
        if index.tracks > 1:
            return f"it has {index.tracks} video tracks, of which decord may take another than the first"
        if index.changes:
            return "the size or colour of its frames changes, which decord hides"
        if not index.container.startswith(("mov,", "matroska,", "avi", "flv")) or index.codec not in ("h264", "hevc"):
            return f"decord is not known to be right on {index.codec} in {index.container}"
        if index.pixels not in EXACT:
            return f"decord rounds {index.pixels} in its own way"
        if count == len(index) and count * index.frame_bytes > AHEAD:
            return f"decord may hold {count * index.frame_bytes / 2**30:.0f} GiB"
        return ""

    def decode(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        import decord
        from decord.base import DECORDError

        if objection := self.objection(index, len(wanted)):
            raise VideoError(path, f"{objection}; use datamodules.media.video.Auto")
        decord.logging.set_level(decord.logging.QUIET)
        context = decord.cpu(0) if self.device.type == "cpu" else decord.gpu(self.device.index or 0)
        try:
            reader = decord.VideoReader(str(path.absolute()), ctx=context, num_threads=self.num_threads)
            if len(reader) != len(index):
                raise VideoError(
                    path, f"decord sees {len(reader)} frames of {len(index)}; use datamodules.media.video.Auto"
                )
            wanted_set = set(wanted)
            for i in range(max(wanted) + 1):
                frame = reader.next()
                if i in wanted_set:
                    # dlpack: the frame is not copied
                    yield torch.utils.dlpack.from_dlpack(frame.to_dlpack())
        except (DECORDError, RuntimeError, IndexError, StopIteration) as error:
            if "CUDA not enabled" in str(error) or "GPU acceleration not available" in str(error):
                remedies = "build it with USE_CUDA=ON, or use datamodules.media.video.TorchCodec"
                raise UserError(f"this decord was built without CUDA: {remedies}") from error
            raise VideoError(path, f"decord: {(str(error).strip() or 'ended early').splitlines()[-1]}") from error
        finally:
            reader = None  # an open reader decodes the rest of the file into memory


class PyAV(Watched):
    """FFmpeg as PyAV brings it: one frame at a time is in memory."""

    def decode(
        self, path: Path, index: Index, wanted: Sequence[int], corrupt: list[int] | None = None
    ) -> Iterator[Tensor]:
        """
        Args:
            corrupt: Gets the numbers of the frames that the decoder calls damaged; several threads miss some.
        """
        if self.device.type != "cpu":
            raise UserError(f"PyAV decodes on the CPU, not on {self.device}; use datamodules.media.video.TorchCodec")
        wanted_set, last, count = set(wanted), max(wanted), 0
        convert = VideoReformatter()  # one for all: to make its tables costs as much as to convert a frame
        with name_decoder_errors(path, lambda: f"frame {count}: "), open_video(path) as container:
            stream = find_video_stream(container)
            assert stream is not None
            stream.thread_count, stream.thread_type = self.num_threads, "AUTO"
            stream.codec_context.options = {"max_pixels": str(LARGEST)}
            for i, frame in enumerate(container.decode(stream)):
                count += 1
                if corrupt is not None and frame.is_corrupt:
                    corrupt.append(i)
                if i in wanted_set:
                    image = convert.reformat(drop_interlacing(frame), format="rgb24").to_ndarray()
                    yield torch.from_numpy(np.ascontiguousarray(np.rot90(image, frame.rotation // 90)))
                if i == last and i < len(index) - 1:
                    return
        if count != len(index):
            raise VideoError(path, f"is damaged: {count} of {len(index)} frames can be decoded")


def drop_interlacing(frame: av.VideoFrame) -> av.VideoFrame:
    """Without the mark of interlacing, which would make FFmpeg convert the colours of each field by itself."""
    is_array = frame.format.name in EXACT - {"yuvj422p"} and not (frame.width % 2 or frame.height % 2)  # for PyAV
    if not frame.interlaced_frame or not is_array:
        return frame
    out = av.VideoFrame.from_ndarray(frame.to_ndarray(), format=frame.format.name)
    out.colorspace, out.color_range = frame.colorspace, frame.color_range
    return out


class Auto(Watched):
    """What is right for a file: decord, or PyAV where decord would be wrong or refuses; on a GPU torchcodec."""

    @property
    def family(self) -> str:
        return super().family if self.device.type == "cpu" else TorchCodec(str(self.device)).family

    def decode(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        if self.device.type != "cpu":
            yield from TorchCodec(str(self.device), self.num_threads).decode(path, index, wanted)
            return
        # without a wheel for this machine there is no decord
        if importlib.util.find_spec("decord") and not Decord.objection(index, len(wanted)):
            frames = Decord(num_threads=self.num_threads).decode(path, index, wanted)
            try:
                first = next(frames)
            except VideoError:
                pass  # nothing was given yet
            else:
                yield first
                yield from frames
                return
        yield from PyAV(num_threads=self.num_threads).decode(path, index, wanted)


class TorchCodec(Decoder):
    """torchcodec in its exact mode; on a GPU it decodes there and the frames stay there."""

    def decode(self, path: Path, index: Index, wanted: Sequence[int]) -> Iterator[Tensor]:
        remedies = "pip install -e '.[torchcodec]' in the clone and FFmpeg's libraries ('apt install ffmpeg')"
        absent = f"torchcodec does not load; it needs {remedies}"
        try:
            from torchcodec.decoders import VideoDecoder
        except (ImportError, RuntimeError) as error:
            raise UserError(absent) from error
        if index.tracks > 1:
            raise VideoError(
                path, f"has {index.tracks} video tracks, of which torchcodec may take another than the first"
            )
        try:
            decoder = VideoDecoder(
                str(path.absolute()),
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
        except UserError:
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            if "Could not load libtorchcodec" in str(error):  # looked for only now from torchcodec 0.17 on
                raise UserError(absent) from error
            if self.device.type != "cpu" and "CUDA" in str(error):
                raise UserError(f"torchcodec on {self.device}: {str(error).strip().splitlines()[0]}") from error
            raise VideoError(path, f"torchcodec: {str(error).strip().splitlines()[0]}") from error
