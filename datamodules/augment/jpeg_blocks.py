"""What a JPEG does to a batch of images, without the file, as libjpeg does it but for a rounding here or there.

In double precision, which no GPU shortens: a coefficient that is rounded otherwise changes its whole block.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

# the tables of the standard, Annex K, which libjpeg scales
LUMA = [
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
]
CHROMA = [
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *[99] * 32,
]
TO_YCC = [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]]
TO_RGB = [[1.0, 0.0, 1.402], [1.0, -0.344136286, -0.714136286], [1.0, 1.772, 0.0]]
MIDDLE = 128


def tables(quality: Tensor, device: torch.device) -> Tensor:
    """(B,) qualities on the CPU to (B, 2, 8, 8) steps, of the luma and of the chroma."""
    scale = torch.where(quality < 50, 5000 // quality.clamp(min=1), 200 - 2 * quality)
    steps = torch.tensor([LUMA, CHROMA]).view(2, 8, 8)
    out = ((steps * scale[:, None, None, None] + 50) // 100).clamp_(1, 255)
    return out.double().to(device, non_blocking=True)


def compress(pixels: Tensor, steps: Tensor, subsampling: Literal["4:2:0", "4:4:4"]) -> Tensor:
    """(B, 3, H, W) whole levels from 0 to 255 to what is left of them, in double precision.

    Args:
        steps: (B, 2, 8, 8), what ``tables`` gives.
    """
    h, w = pixels.shape[-2:]
    to_ycc, to_rgb, offset = constants(pixels.device)
    block = 16 if subsampling == "4:2:0" else 8
    wide = F.pad(pixels.double(), (0, -w % block, 0, -h % block), mode="replicate")
    ycc = torch.baddbmm(offset, to_ycc.expand(len(pixels), 3, 3), wide.flatten(2)).round_().view_as(wide)
    luma, chroma = ycc.split([1, 2], 1)
    if subsampling == "4:2:0":
        chroma = halve(chroma)
    luma, chroma = quantize(luma, steps[:, :1]), quantize(chroma, steps[:, 1:])
    if subsampling == "4:2:0":  # each pixel three quarters of the nearest and a quarter of the next, along both sides
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear").round_()
    back = torch.cat([luma, chroma - MIDDLE], 1)
    return (to_rgb @ back.flatten(2)).round_().clamp_(0, 255).view_as(back)[..., :h, :w]


def halve(chroma: Tensor) -> Tensor:
    """Means of four, where halves are rounded down and up by turns."""
    bias = torch.arange(chroma.shape[-1] // 2, device=chroma.device) % 2 * 0.25 + 0.25
    return (F.avg_pool2d(chroma, 2) + bias).floor_()


def quantize(plane: Tensor, steps: Tensor) -> Tensor:
    """(B, C, H, W) with whole blocks of 8 x 8; steps (B, 1, 8, 8)."""
    dct = cosines(plane.device)
    blocks = (plane - MIDDLE).unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # (B, C, H / 8, W / 8, 8, 8)
    step = steps[:, :, None, None]
    kept = ((dct @ blocks @ dct.T) / step).round_().mul_(step)
    back = (dct.T @ kept @ dct).transpose(3, 4).reshape(plane.shape)
    return back.round_().add_(MIDDLE).clamp_(0, 255)


@functools.lru_cache(maxsize=4)
def constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    offset = torch.tensor([0, MIDDLE, MIDDLE], dtype=torch.float64).view(1, 3, 1)
    there, back = (torch.tensor(matrix, dtype=torch.float64) for matrix in (TO_YCC, TO_RGB))
    return there.to(device), back.to(device), offset.to(device)


@functools.lru_cache(maxsize=4)
def cosines(device: torch.device) -> Tensor:
    """(8, 8), orthonormal."""
    i = torch.arange(8, dtype=torch.float64)
    out = torch.cos((2 * i + 1) * i[:, None] * math.pi / 16) / 2
    out[0] /= math.sqrt(2)
    return out.to(device)
