"""From the hull of a face to the soft mask that two pictures are blended with; every step is given its numbers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

KERNEL = 25  # largest side of a blur
CANVAS = 1.25  # largest side of a mask while it is softened, over that of the picture


def places(factor: Tensor, offset: Tensor, height: int, width: int, corners: bool = True) -> Tensor:
    """(B, H, W, 2) places to sample, -1 to 1: ``factor`` (B, 2) times a pixel's own place, plus ``offset``; x first.

    Args:
        corners: Whether -1 and 1 are the middles of the outermost pixels, or their outer edges.
    """
    out = factor.new_empty(len(factor), height, width, 2)
    for axis, length in enumerate((width, height)):
        end = 1 if corners else 1 - 1 / length
        line = torch.linspace(-end, end, length, device=factor.device) * factor[:, axis, None] + offset[:, axis, None]
        out[..., axis] = line[:, None] if axis == 0 else line[..., None]
    return out


def elastic(noise: Tensor, alpha: float, sigma: float, height: int, width: int) -> Tensor:
    """(B, H, W, 2) displacement, -1 to 1: noise blurred by ``sigma`` pixels, times ``alpha`` pixels.

    Args:
        noise: (B, 2, h, w) from -1 to 1. On a grid that is coarser by a factor, the amplitude falls by it.
    """
    factor = height / noise.shape[-2]
    soft = blur(noise, torch.full((len(noise),), sigma / factor, device=noise.device), int(3 * sigma / factor) * 2 + 1)
    moved = F.interpolate(soft, (height, width), mode="bilinear", align_corners=True) * alpha / factor
    return moved.permute(0, 2, 3, 1) * 2 / torch.tensor([width - 1, height - 1], device=noise.device)


def taps(size: Tensor | int, sigma: Tensor, largest: int) -> Tensor:
    """(B, largest) weights of Gaussian kernels of different sizes and widths, each summing to 1."""
    place = torch.arange(largest, device=sigma.device) - largest // 2
    weight = torch.exp(-(place**2) / (2 * sigma[:, None] ** 2))
    half = (torch.as_tensor(size, device=sigma.device) // 2).expand(len(sigma))
    weight = weight * (place.abs() <= half[:, None])
    return weight / weight.sum(1, keepdim=True)


def separable(x: Tensor, weight: Tensor) -> Tensor:
    """(B, C, H, W) convolved along both axes with a kernel (B, K) for each sample; mirrored at the edge."""
    b, c, h, w = x.shape
    half = weight.shape[1] // 2
    each = weight.repeat_interleave(c, 0)
    flat = x.reshape(1, b * c, h, w)
    flat = F.conv2d(F.pad(flat, (half, half, 0, 0), mode="reflect"), each[:, None, None], groups=b * c)
    flat = F.conv2d(F.pad(flat, (0, 0, half, half), mode="reflect"), each[:, None, :, None], groups=b * c)
    return flat.view(b, c, h, w)


def blur(x: Tensor, sigma: Tensor, size: int) -> Tensor:
    return separable(x, taps(size, sigma, size))


def soften(mask: Tensor, scale: Tensor, erode: Tensor, feather: Tensor, sigma: Tensor) -> Tensor:
    """(B, 1, H, W) soft mask with maximum 1.

    Args:
        mask: (B, 1, H, W), 0 or 1.
        scale: (B, 2) size at which it is softened, over that of the mask: width, height.
        erode: (B,) odd side of the square that is worn away.
        feather: (B,) odd side of the blur that follows.
        sigma: (B,) standard deviation of that blur.
    """
    h, w = mask.shape[-2:]
    size = (round(CANVAS * h), round(CANVAS * w))
    small = (scale * torch.tensor([w, h], device=mask.device)).round()  # (B, 2) pixels
    # the mask in the corner of a canvas that holds the largest of them, mirrored beyond its edges
    share = torch.tensor([size[1], size[0]], device=mask.device) / small
    resized = F.grid_sample(
        mask, places(share, share - 1, *size, corners=False), padding_mode="reflection", align_corners=False
    )
    whole = separable(resized, taps(erode, torch.full_like(sigma, 1e4), KERNEL))  # a box
    top = whole.flatten(1).amax(1)[:, None, None, None]
    eroded = ((whole >= top - 1e-5) & (top > 0)).float()
    soft = separable(eroded, taps(feather, sigma, KERNEL))
    soft = F.grid_sample(soft, places(1 / share, 1 / share - 1, h, w, corners=False), align_corners=False)
    return soft / soft.flatten(1).amax(1).clamp(min=1e-6)[:, None, None, None]
