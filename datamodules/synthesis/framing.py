"""A picture cut, changed in shape, and brought to the size of a network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Window = tuple[int, int, int, int]  # top, left, height, width, in pixels
ASPECT = 3.33  # of what is erased, its height over its width or the inverse


@dataclass(kw_only=True)
class Shape:
    """One change of shape."""

    crop: Window | None = None
    zoom: float = 1.0
    hole: Window | None = None


def draw_shape(height: int, width: int, crop: float, rescale: tuple[float, float], erase: tuple[float, float]) -> Shape:
    """One of three: a crop by whole hundredths, an equal zoom of both sides, or a rectangle erased."""
    kind = int(torch.randint(3, ()))
    u = torch.rand(5).tolist()
    if kind == 0:
        steps = round(crop * 100) + 1
        tall, wide = (round(side * (1 - int(steps * x) / 100)) for side, x in ((height, u[0]), (width, u[1])))
        return Shape(crop=(int(u[2] * (height - tall + 1)), int(u[3] * (width - wide + 1)), tall, wide))
    if kind == 1:
        return Shape(zoom=rescale[0] + (rescale[1] - rescale[0]) * u[0])
    area = (erase[0] + (erase[1] - erase[0]) * u[0]) * height * width
    aspect = ASPECT ** (2 * u[1] - 1)
    tall, wide = min(height, round((area * aspect) ** 0.5)), min(width, round((area / aspect) ** 0.5))
    return Shape(hole=(int(u[2] * (height - tall + 1)), int(u[3] * (width - wide + 1)), tall, wide))


def resized(x: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W), bilinear; corners stay corners."""
    if x.dtype == torch.uint8 and x.is_cuda:  # only a CPU has it for bytes
        return resized(x.float(), height, width).round_().to(torch.uint8)
    # five times as fast on bytes as on floats if channels lie together
    x = x.contiguous(memory_format=torch.channels_last)
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=True)


def framed(x: Tensor, shape: Shape, compat: bool, out: Tensor) -> None:
    """
    Args:
        x: (B, C, H, W), pictures in bytes or masks in [0, 1].
        compat: The shape changes after it was decided where pixels go: at the upper left, black beyond or cut off.
        out: (B, C, h, w) to fill, black where the proportions differ.
    """
    height, width = x.shape[-2:]
    if shape.hole is not None:
        top, left, tall, wide = shape.hole
        x = x.clone()
        x[..., top : top + tall, left : left + wide] = 0
    if shape.crop is not None:
        top, left, tall, wide = shape.crop
        x = x[..., top : top + tall, left : left + wide]
    if shape.zoom != 1:
        x = resized(x, round(height * shape.zoom), round(width * shape.zoom))
    if compat:
        tall, wide = x.shape[-2:]
        x = F.pad(x[..., :height, :width], (0, max(0, width - wide), 0, max(0, height - tall)))
    h, w = x.shape[-2:]
    scale = min((out.shape[-2] - 1) / (h - 1), (out.shape[-1] - 1) / (w - 1))
    tall, wide = round((h - 1) * scale) + 1, round((w - 1) * scale) + 1
    top, left = (out.shape[-2] - tall) // 2, (out.shape[-1] - wide) // 2
    if (tall, wide) != tuple(out.shape[-2:]):
        out.zero_()
    out[..., top : top + tall, left : left + wide] = resized(x, tall, wide)
