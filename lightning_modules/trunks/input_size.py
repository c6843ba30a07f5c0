"""Images at the size that a network has positions for."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def fit(images: Tensor, side: int | None) -> Tensor:
    """(N, 3, H, W) in [0, 1] to (N, 3, side, side), bicubic without aliasing; as they are where that is None."""
    if side is None or images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(0, 1)  # as bytes would be
