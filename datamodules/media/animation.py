"""Images that move: animated WebP, PNG, AVIF, and GIF under the name of an image, as clips with times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from datamodules.media.image_sequence import ImageError

MOVING = {"WEBP", "PNG", "AVIF", "GIF"}  # as Pillow calls them; the further images of a TIFF or JPEG are no frames
USUAL = 100  # ms that browsers show a frame which asks for 10 or less


@contextmanager
def open_image(path: Path) -> Iterator[PIL.Image.Image]:
    before, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None  # the limit is ours
    try:
        with PIL.Image.open(path) as image:
            yield image
    # ValueError of texts that are too large, SyntaxError of parts of a PNG
    except (PIL.UnidentifiedImageError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError) as error:
        raise ImageError(f"is no image that can be read: {error}") from error
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = before


def is_animated(image: PIL.Image.Image) -> bool:
    return image.format in MOVING and getattr(image, "n_frames", 1) > 1


def list_times(path: Path) -> NDArray[np.float64]:
    """(N,) seconds at which each frame begins."""
    with open_image(path) as image:
        durations = []
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            image.load()  # which reads how long it is shown
            duration = float(image.info.get("duration") or 0)
            durations.append(duration if duration > 10 else USUAL)
    return np.cumsum([0.0, *durations[:-1]]) / 1000


def read_frames(path: Path, wanted: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Yields the (H, W, 3) frames of ascending indices, without their transparency."""
    with open_image(path) as image:
        for i in wanted:
            image.seek(i)
            yield np.array(image.convert("RGB"))
