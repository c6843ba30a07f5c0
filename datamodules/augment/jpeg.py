"""Images through real JPEG files; batches on a GPU through what such files do, a level off here and there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.augment.jpeg_blocks import compress, tables

# on a GPU torchvision's own codec would write 4:4:4, and has no choice
Subsampling = Literal["4:2:0", "4:4:4"]
FACTORS = {"4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444}


def encode_jpeg(pixels: Tensor, quality: int, subsampling: Subsampling = "4:2:0") -> bytes:
    """(3, H, W) uint8 to the bytes of a file."""
    image = np.ascontiguousarray(pixels.permute(1, 2, 0).flip(-1).cpu().numpy())
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, FACTORS[subsampling]]
    _, content = cv2.imencode(".jpg", image, options)
    return content.tobytes()


def code_jpeg(pixels: Tensor, quality: int, subsampling: Subsampling = "4:2:0") -> Tensor:
    """(3, H, W) uint8."""
    content = np.frombuffer(encode_jpeg(pixels, quality, subsampling), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return torch.from_numpy(image).permute(2, 0, 1).to(pixels.device)


def jpeg(image: Tensor, quality: int, least: int = 0, subsampling: Subsampling = "4:2:0") -> Tensor:
    """A (3, H, W) image in [0, 1].

    Args:
        least: Side of an image that is smaller when it is compressed: a block covers no larger part of a face.
    """

    def change(images: Tensor) -> Tensor:
        out = [code_jpeg(to_uint8(one), quality, subsampling) for one in images]
        return torch.stack(out).to(images.dtype) / 255

    return apply_at_side(image.detach()[None], least, change)[0]


def jpegs(images: Tensor, quality: Tensor, least: int = 0, subsampling: Subsampling = "4:2:0") -> Tensor:
    """(B, 3, H, W) images in [0, 1]; on a GPU in blocks, since for files and their sizes it would be waited.

    Args:
        quality: (B,), on the CPU.
        least: See jpeg.
        subsampling: Chroma subsampling.
    """
    if images.is_cpu:
        each = zip(images, quality.tolist(), strict=True)
        return torch.stack([jpeg(one, q, least, subsampling) for one, q in each])
    table = tables(quality, images.device)

    def change(large: Tensor) -> Tensor:
        return compress(large.mul(255).round_(), table, subsampling).to(images.dtype) / 255

    return apply_at_side(images, least, change)


def to_uint8(image: Tensor) -> Tensor:
    return (image * 255).round().to(torch.uint8)


def apply_at_side(images: Tensor, least: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """(B, C, H, W) in [0, 1]; to smaller ones is added what a change does to them once they are enlarged."""
    size = images.shape[-2:]
    times = least / min(size)
    if times <= 1:
        return change(images)
    large = F.interpolate(images, [round(times * side) for side in size], mode="bicubic").clamp_(0, 1)
    return (images + F.interpolate(change(large) - large, size, mode="area")).clamp_(0, 1)
