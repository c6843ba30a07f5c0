"""One image: its bytes in a file, its size, and masks of two values."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.runtime.errors import UserError

Image = NDArray[np.uint8]
Format = Literal["png", "webp", "jpg"]
HALF = 128  # grey level from which a mask is white


def check_threshold(mask_threshold: int) -> None:
    if not 0 < mask_threshold < 256:
        raise UserError(f"--mask_threshold {mask_threshold}: must be a grey level from 1 to 255")


def binarize(mask: Image, threshold: int = HALF) -> Image:
    """0 or 255: resizing and video coding leave greys at the edge of a mask."""
    return np.where(mask >= threshold, np.uint8(255), np.uint8(0))


def take_brightest(image: Image) -> Image:
    """(..., H, W) of RGB (..., H, W, 3): a mask may be of any colour, and red is dark as a grey."""
    out: Image = np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])
    return out


def resize(image: Image, size: int) -> Image:
    if image.shape[:2] == (size, size):
        return image
    how = cv2.INTER_AREA if image.shape[0] > size else cv2.INTER_CUBIC
    out: Image = cv2.resize(image, (size, size), interpolation=how)
    return out


def encode(image: Image, format: Format) -> bytes:
    """RGB (H, W, 3) or grey (H, W); png and webp keep every bit."""
    options = {
        "png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100 is lossless
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    }[format]
    ok, content = cv2.imencode(f".{format}", image[..., ::-1] if image.ndim == 3 else image, options)
    if not ok:
        raise ValueError(f"cannot write {image.shape} as {format}")
    return content.tobytes()


def decode(content: bytes, grey: bool = False) -> Image:
    """RGB (H, W, 3), or (H, W)."""
    flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    try:
        image: Image | None = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    except cv2.error as error:  # its header promises more pixels than OpenCV decodes, or than there is memory for
        reason = "not enough memory: " if error.code == cv2.Error.StsNoMem else ""
        raise OSError(f"an image that OpenCV refuses ({reason}{error.err})") from error
    if image is None:
        raise OSError(f"{len(content)} bytes that are no image")
    return image
