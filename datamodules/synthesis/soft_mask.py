"""From the hull of a face to the soft mask that two images are blended with; every step is given its numbers."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.augment.drawn_numbers import move
from datamodules.synthesis.resize import BEYOND, sample_grid


def sampling_coordinates(factor: Tensor, offset: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """(B, H) rows and (B, W) columns to sample, -1 to 1: ``factor`` (B, 2) times a pixel's own place, plus ``offset``;
    x first in both."""
    columns, rows = (
        torch.linspace(-1, 1, length, device=factor.device) * factor[:, axis, None] + offset[:, axis, None]
        for axis, length in enumerate((width, height))
    )
    return rows, columns


def bend_elastically(noise: Tensor, alpha: float, sigma: float, height: int, width: int) -> Tensor:
    """(B, H, W, 2) displacement, -1 to 1: noise blurred by ``sigma`` pixels, times ``alpha`` pixels.

    Args:
        noise: (B, 2, h, w) from -1 to 1. On a grid that is coarser by a factor, the amplitude falls by it.
    """
    factor = height / noise.shape[-2]
    size = int(3 * sigma / factor) * 2 + 1
    weight = constant_taps(size, sigma / factor, noise.device).expand(2 * len(noise), -1)
    edge = size // 2
    wide = F.pad(noise, [edge] * 4, mode="reflect").flatten(0, 1)
    h, w = noise.shape[-2:]
    soft = convolve(wide, weight)[:, edge : edge + h, edge : edge + w].reshape(noise.shape)
    bent = F.interpolate(soft, (height, width), mode="bilinear", align_corners=True) * alpha / factor
    return bent.permute(0, 2, 3, 1) * 2 / longest_places(height, width, noise.device)


@functools.lru_cache(maxsize=16)
def constant_taps(size: int, sigma: float, device: torch.device) -> Tensor:
    return taps(size, torch.tensor([sigma]), size).to(device)


@functools.lru_cache(maxsize=16)
def longest_places(height: int, width: int, device: torch.device) -> Tensor:
    return torch.tensor([width - 1, height - 1], device=device)


def taps(size: Tensor | int, sigma: Tensor, largest: int) -> Tensor:
    """(B, largest) weights of Gaussian kernels of different sizes and widths, each summing to 1."""
    place = torch.arange(largest, device=sigma.device) - largest // 2
    weight = torch.exp(-(place**2) / (2 * sigma[:, None] ** 2))
    half = (torch.as_tensor(size, device=sigma.device) // 2).expand(len(sigma))
    weight = weight * (place.abs() <= half[:, None])
    return weight / weight.sum(1, keepdim=True)


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """(B, H, W) convolved along both axes with a kernel (B, K) for each; zeros beyond the edge."""
    half = weight.shape[1] // 2
    flat = x[None]
    if x.is_cpu:  # side by side in memory, eight images are convolved at once: eight times as fast
        flat = flat.contiguous(memory_format=torch.channels_last)
    flat = F.conv2d(flat, weight[:, None, None], padding=(0, half), groups=len(x))
    return F.conv2d(flat, weight[:, None, :, None], padding=(half, 0), groups=len(x))[0]


def soften(
    mask: Tensor, scale: Tensor, erode: Tensor, feather: Tensor, sigma: Tensor, largest: float = 1.25, kernel: int = 25
) -> Tensor:
    """(B, 1, H, W) soft mask with maximum 1.

    Args:
        mask: (B, 1, H, W), 0 or 1.
        scale: (B, 2), on the CPU, size at which it is softened, over that of the mask: width, height.
        erode: (B,), on the CPU, odd side of the square that is worn away.
        feather: (B,), on the CPU, odd side of the blur that follows.
        sigma: (B,), on the CPU, standard deviation of that blur.
        largest: Largest scale that may come.
        kernel: Largest side of square and blur that may come.
    """
    h, w = mask.shape[-2:]
    edge = kernel - 1  # two kernels reach no farther
    sizes = (scale * torch.tensor([w, h])).round().long()
    canvas = round(largest * h) + 2 * edge, round(largest * w) + 2 * edge
    box, blur = taps(erode, torch.full_like(sigma, 1e4), kernel), taps(feather, sigma, kernel)
    out = (softened_by_turns if mask.is_cpu else softened_together)(mask, sizes, edge, canvas, box, blur)
    return out / out.flatten(1).amax(1).clamp(min=1e-6)[:, None, None, None]


def softened_by_turns(
    mask: Tensor, sizes: Tensor, edge: int, canvas: tuple[int, int], box: Tensor, blur: Tensor
) -> Tensor:
    """In the upper left of a canvas for the largest, mirrored at their edges; on a CPU the faster."""
    out = torch.empty_like(mask)
    large = mask.new_zeros(len(mask), *canvas)
    for i, (wide, high) in enumerate(sizes.tolist()):
        small = F.interpolate(mask[i : i + 1], (high, wide), mode="bilinear")
        large[i, : high + 2 * edge, : wide + 2 * edge] = F.pad(small, [edge] * 4, mode="reflect")[0, 0]
    soft = blur_box(large, box, blur).contiguous()
    for i, (wide, high) in enumerate(sizes.tolist()):
        inner = soft[None, i : i + 1, edge : high + edge, edge : wide + edge]
        out[i] = F.interpolate(inner, mask.shape[-2:], mode="bilinear")[0]
    return out


def softened_together(
    mask: Tensor, sizes: Tensor, edge: int, canvas: tuple[int, int], box: Tensor, blur: Tensor
) -> Tensor:
    """The same in as few operations as for one."""
    h, w = mask.shape[-2:]
    wide, high = sizes.unbind(1)
    there = mirrored_line(canvas[0], h, high, edge), mirrored_line(canvas[1], w, wide, edge)
    back = inner_line(h, canvas[0], high, edge), inner_line(w, canvas[1], wide, edge)
    box, blur, *lines = move([box, blur, *there, *back], mask.device)
    soft = blur_box(sample_grid(mask, lines[0], lines[1])[:, 0], box, blur)
    return sample_grid(soft[:, None], lines[2], lines[3])


def blur_box(canvas: Tensor, box: Tensor, blur: Tensor) -> Tensor:
    """(B, H, W): what of a box does not lie within the mask is worn away, then the rest is blurred."""
    whole = convolve(canvas, box)
    top = whole.amax((1, 2), keepdim=True)
    return convolve((whole >= top.clamp(min=1e-3) - 1e-5).float(), blur)


def mirrored_line(length: int, side: int, sizes: Tensor, edge: int) -> Tensor:
    """Places of the mask along a side of its canvas."""
    place, size = torch.arange(length) - edge, sizes[:, None]
    within = (size - 1) - ((size - 1) - place.abs()).abs()
    source = ((within + 0.5) * (side / size.double()) - 0.5).clamp(0, side - 1)
    out = source * (2 / max(1, side - 1)) - 1
    return out.masked_fill_(place >= size + edge, BEYOND).float()


def inner_line(length: int, side: int, sizes: Tensor, edge: int) -> Tensor:
    """Places on the canvas from which a side of the mask comes back."""
    size = sizes[:, None].double()
    source = ((torch.arange(length) + 0.5) * (size / length) - 0.5).clamp(min=0).minimum(size - 1) + edge
    return (source * (2 / max(1, side - 1)) - 1).float()
