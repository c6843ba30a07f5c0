"""From the hull of a face to the soft mask that two pictures are blended with; every step is given its numbers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

KERNEL = 25  # largest side of a blur
CANVAS = 1.25  # largest side of a mask while it is softened, over that of the picture


def grid(matrix: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W, 2) places to sample, for ``grid_sample`` with corners aligned.

    Args:
        matrix: (B, 2, 3) from pixels of the result to pixels of what is sampled, both over the longest distance:
            corners are at -1 and 1.
    """
    return F.affine_grid(matrix, [len(matrix), 1, height, width], align_corners=True)


def zoom(scale: Tensor, shift: Tensor) -> Tensor:
    """(B, 2, 3) that shows the picture enlarged by ``scale`` (B, 2) and moved by ``shift`` (B, 2), -1 to 1; x first."""
    matrix = torch.zeros(len(scale), 2, 3, device=scale.device)
    matrix[:, 0, 0], matrix[:, 1, 1] = 1 / scale[:, 0], 1 / scale[:, 1]
    matrix[:, :, 2] = -shift / scale
    return matrix


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
    resized = F.grid_sample(mask, corner(share, *size), padding_mode="reflection", align_corners=False)
    whole = separable(resized, taps(erode, torch.full_like(sigma, 1e4), KERNEL))  # a box
    top = whole.flatten(1).amax(1)[:, None, None, None]
    eroded = ((whole >= top - 1e-5) & (top > 0)).float()
    soft = separable(eroded, taps(feather, sigma, KERNEL))
    soft = F.grid_sample(soft, corner(1 / share, h, w), align_corners=False)
    return soft / soft.flatten(1).amax(1).clamp(min=1e-6)[:, None, None, None]


def corner(share: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W, 2) places that keep the upper left corner, where sides differ by ``share`` (B, 2): width, height."""
    matrix = torch.zeros(len(share), 2, 3, device=share.device)
    matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, :, 2] = share[:, 0], share[:, 1], share - 1
    return F.affine_grid(matrix, [len(share), 1, height, width], align_corners=False)
