"""Images of a batch cut, resized and padded each in its own way, in one operation: on a GPU a loop would be slow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BEYOND = 3.0  # where nothing is, in units that reach from -1 to 1


def line(
    length: int,
    side: int,
    first: Sequence[float] | Tensor,
    step: Sequence[float] | Tensor,
    low: Sequence[int] | Tensor,
    high: Sequence[int] | Tensor,
) -> Tensor:
    """(B, length) places along a side, -1 to 1, on the CPU: ``first + i * step`` from ``low`` to before ``high``.

    Args:
        length: Length of the output.
        side: Side of the input.
        first: Place of the first, in pixels.
        step: From one to the next.
        low: First one that is not empty.
        high: First one after that which is empty again.
    """
    start, by, begin, end = (torch.as_tensor(x, dtype=torch.float64)[:, None] for x in (first, step, low, high))
    place = torch.arange(length)
    out = (start + by * place) * (2 / max(1, side - 1)) - 1
    return out.masked_fill_((place < begin) | (place >= end), BEYOND).float()


def sample_grid(x: Tensor, rows: Tensor, columns: Tensor, mode: str = "bilinear") -> Tensor:
    """(B, C, H, W) at rows (B, h) and columns (B, w), zeros beyond."""
    grid = torch.stack(torch.broadcast_tensors(columns[:, None], rows[:, :, None]), -1)
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=True)


def pixel_places(height: int, width: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """(H, W, 2) the place of every pixel, x first."""
    column, row = (torch.arange(side, device=device, dtype=dtype) for side in (width, height))
    return torch.stack(torch.broadcast_tensors(column, row[:, None]), -1)


def sample_places(images: Tensor, places: Tensor) -> Tensor:
    """(B, C, h, w), bicubic, of images in [0, 1] at places (B, h, w, 2) in pixels, x first; beyond the border, it."""
    h, w = images.shape[-2:]
    grid = (2 * places / places.new_tensor([w - 1, h - 1]) - 1).to(images.dtype)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=True).clamp_(0, 1)
