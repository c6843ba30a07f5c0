"""From the hull of a face to the soft mask that two pictures are blended with; every step is given its numbers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def places(factor: Tensor, offset: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W, 2) places to sample, -1 to 1: ``factor`` (B, 2) times a pixel's own place, plus ``offset``; x first."""
    out = factor.new_empty(len(factor), height, width, 2)
    for axis, length in enumerate((width, height)):
        line = torch.linspace(-1, 1, length, device=factor.device) * factor[:, axis, None] + offset[:, axis, None]
        out[..., axis] = line[:, None] if axis == 0 else line[..., None]
    return out


def elastic(noise: Tensor, alpha: float, sigma: float, height: int, width: int) -> Tensor:
    """(B, H, W, 2) displacement, -1 to 1: noise blurred by ``sigma`` pixels, times ``alpha`` pixels.

    Args:
        noise: (B, 2, h, w) from -1 to 1. On a grid that is coarser by a factor, the amplitude falls by it.
    """
    factor = height / noise.shape[-2]
    size = int(3 * sigma / factor) * 2 + 1
    weight = taps(size, torch.full((2 * len(noise),), sigma / factor, device=noise.device), size)
    edge = size // 2
    wide = F.pad(noise, [edge] * 4, mode="reflect").flatten(0, 1)
    h, w = noise.shape[-2:]
    soft = separable(wide, weight)[:, edge : edge + h, edge : edge + w].reshape(noise.shape)
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
    """(B, H, W) convolved along both axes with a kernel (B, K) for each; zeros beyond the edge."""
    half = weight.shape[1] // 2
    # side by side in memory, eight pictures are convolved at once: eight times as fast on a CPU
    flat = x[None].contiguous(memory_format=torch.channels_last)
    flat = F.conv2d(flat, weight[:, None, None], padding=(0, half), groups=len(x))
    return F.conv2d(flat, weight[:, None, :, None], padding=(half, 0), groups=len(x))[0]


def soften(
    mask: Tensor, scale: Tensor, erode: Tensor, feather: Tensor, sigma: Tensor, largest: float = 1.25, kernel: int = 25
) -> Tensor:
    """(B, 1, H, W) soft mask with maximum 1.

    Args:
        mask: (B, 1, H, W), 0 or 1.
        scale: (B, 2), on the CPU, size at which it is softened, over that of the mask: width, height.
        erode: (B,) odd side of the square that is worn away.
        feather: (B,) odd side of the blur that follows.
        sigma: (B,) standard deviation of that blur.
        largest: Of all scales that may come.
        kernel: Largest side of square and blur that may come.
    """
    b, _, h, w = mask.shape
    edge = kernel - 1  # two kernels reach no farther
    sizes = (scale * torch.tensor([w, h])).round().long().tolist()
    # in the upper left of a canvas for the largest, mirrored at their edges
    canvas = mask.new_zeros(b, round(largest * h) + 2 * edge, round(largest * w) + 2 * edge)
    for i, (wide, high) in enumerate(sizes):
        small = F.interpolate(mask[i : i + 1], (high, wide), mode="bilinear")
        canvas[i, : high + 2 * edge, : wide + 2 * edge] = F.pad(small, [edge] * 4, mode="reflect")[0, 0]
    whole = separable(canvas, taps(erode, torch.full_like(sigma, 1e4), kernel))  # a box
    top = whole.amax((1, 2), keepdim=True)
    eroded = (whole >= top.clamp(min=1e-3) - 1e-5).float()
    soft = separable(eroded, taps(feather, sigma, kernel)).contiguous()
    out = torch.empty_like(mask)
    for i, (wide, high) in enumerate(sizes):
        inner = soft[None, i : i + 1, edge : high + edge, edge : wide + edge]
        out[i] = F.interpolate(inner, (h, w), mode="bilinear")[0]
    return out / out.flatten(1).amax(1).clamp(min=1e-6)[:, None, None, None]
