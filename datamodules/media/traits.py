"""What can be known of a file without looking for a forgery: from its head and a few of its first frames."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from datamodules.manifest import MEMBER
from datamodules.media.animation import is_animated, open_image, read_frames
from datamodules.media.image_sequence import find_images, holds_images, is_image
from datamodules.media.probe import (
    LARGEST,
    VideoError,
    find_video_stream,
    name_decoder_errors,
    name_errors,
    open_video,
)
from datamodules.spacing import space_evenly

EVERY, LOOKS = 6, 3  # frames from one that is looked at to the next, and how many are
SAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}  # as Pillow numbers it
Image = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """Of one file; what it has not is absent.

    Args:
        numbers: What may be larger or smaller.
        kinds: What is the same or another.
    """

    numbers: dict[str, float]
    kinds: dict[str, str]


def read_traits(path: Path) -> Traits:
    if MEMBER in str(path):
        raise VideoError(path, "lies in an archive, which would have to be read whole")
    if not holds_images(path):
        return read_video(path)
    with name_errors(path):
        return read_images(path)


def read_video(path: Path) -> Traits:
    with name_decoder_errors(path), open_video(path) as container:
        stream = find_video_stream(container)
        if stream is None or stream.codec_context is None:
            raise VideoError(path, "has no video track that can be decoded")
        stream.thread_count = 1  # several decode ahead of what is wanted
        stream.codec_context.options = {"max_pixels": str(LARGEST)}
        frames = islice(container.decode(stream), 0, EVERY * (LOOKS - 1) + 1, EVERY)
        looked = [frame.to_ndarray(format="rgb24") for frame in frames]
        if not looked:
            raise VideoError(path, "has no frames")
        kinds = name_coding(container, stream)
        numbers = {"file size": float(path.stat().st_size), "frame rate": float(stream.average_rate or 0)}
        seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
        if seconds > 0:
            numbers |= {"length": seconds, "bit rate": 8 * numbers["file size"] / seconds}
    return Traits(numbers=numbers | measure_pixels(looked), kinds=kinds | name_size(looked[0]))


def name_coding(container: Any, stream: Any) -> dict[str, str]:
    context, sound = stream.codec_context, next(iter(container.streams.audio), None)
    heard = None if sound is None else sound.codec_context
    tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
    return {
        "container": container.format.name,
        "codec": f"{context.codec.canonical_name} {context.profile or ''}".strip(),
        "pixel format": context.pix_fmt or "",
        "colour tags": " ".join(str(int(tag)) for tag in tags),
        "sound": "none" if heard is None else f"{heard.name} {heard.sample_rate} Hz {heard.layout.name}",
    }


def read_images(path: Path) -> Traits:
    """One image, or a folder of them of which the first stands for all."""
    files = sorted(one for one in path.iterdir() if is_image(one.name)) if path.is_dir() else [path]
    if not files:
        raise VideoError(path, "has no images")
    with open_image(files[0]) as header:
        kinds = {"container": str(header.format), "pixel format": header.mode}
        numbers, tables = {}, getattr(header, "quantization", None)
        if header.format == "JPEG" and tables:
            kinds |= {"JPEG tables": name_tables(tables), "JPEG sampling": name_sampling(header)}
            numbers["JPEG quality"] = estimate_quality(tables[min(tables)])
        moves = is_animated(header)
    if moves:
        looked = list(read_frames(files[0], [0]))
    else:
        found = find_images(path)
        looked = [found.get(i) for i in space_evenly(len(found), LOOKS)]
    numbers["file size"] = float(sum(one.stat().st_size for one in files))
    numbers |= {"length": float(len(files))} if path.is_dir() else {}
    return Traits(numbers=numbers | measure_pixels(looked), kinds=kinds | name_size(looked[0]))


def name_sampling(header: PIL.Image.Image) -> str:
    from PIL.JpegImagePlugin import get_sampling

    return SAMPLING.get(get_sampling(header), "other")


def name_tables(tables: dict[int, list[int]]) -> str:
    """Of all components."""
    content = bytes(str(sorted((key, list(table)) for key, table in tables.items())), "ascii")
    return blake2b(content, digest_size=4).hexdigest()


@functools.cache
def standard_table() -> list[int]:
    """Of brightness, at quality 50, in the order that Pillow has."""
    file = io.BytesIO()
    PIL.Image.new("L", (8, 8)).save(file, "JPEG", quality=50)
    image: Any = PIL.Image.open(file)
    return list(image.quantization[0])


def estimate_quality(table: Sequence[int]) -> float:
    """As libjpeg counts it, of a table of brightness; of other tables what comes nearest in the mean."""
    scale = 100 * float(np.mean(np.divide(table, standard_table())))
    return round((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1)


def name_size(image: Image) -> dict[str, str]:
    return {"frame size": f"{image.shape[1]} x {image.shape[0]}"}


def measure_pixels(images: Sequence[Image]) -> dict[str, float]:
    """
    Args:
        images: (H, W, 3) frames of one size, or a few more if they are of several.
    """
    images = [image for image in images if image.shape == images[0].shape]
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    pixels = np.stack(images).reshape(-1, 3).astype(np.float32) / 255
    numbers = {
        "resolution": float(images[0].shape[0] * images[0].shape[1]),
        "sharpness": float(np.mean([cv2.Laplacian(image, cv2.CV_64F).var() for image in grey])),
        "brightness": float(pixels.mean()),
        "contrast": float(pixels.std()),
        "saturation": float((pixels.max(1) - pixels.min(1)).mean()),
        "red over blue": float(pixels[:, 0].mean() - pixels[:, 2].mean()),
    }
    if len(images) > 1:
        numbers["change"] = float(np.abs(np.diff(np.stack(images).astype(np.float32), axis=0)).mean())
    return numbers
