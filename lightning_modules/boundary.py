"""Where the boundary of a forged region lies, which some maps show instead of the region."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.synthesis.base import boundary_levels
from datamodules.synthesis.soft_mask import convolve, taps

INSIDE = 128  # level above which a pixel belongs to the boundary when its width is measured
SOFT = 5 / 256  # of the side: standard deviation of the middle of the blurs that SelfBlend softens masks with


def on_boundary(mask: Tensor, boundary: Tensor | None) -> Tensor:
    """(N, H, W) masks to bool, true along the boundary that the map of a trained network should show.

    Args:
        boundary: Levels of a synthesis, N of them; without it masks are softened: those of data sets are hard.
    """
    size = mask.shape[-2:]
    if boundary is not None:
        levels = boundary.flatten(0, -3).float()[:, None]
        return F.interpolate(levels, size, mode="bilinear", align_corners=True)[:, 0] > INSIDE
    sigma = SOFT * max(size)
    half = int(3 * sigma) + 1
    weight = taps(2 * half + 1, torch.full((len(mask),), sigma, device=mask.device), 2 * half + 1)
    # a region goes on beyond the image: where it is cut off, there is no boundary
    wide = F.pad((mask > 0.5).float()[:, None], [half] * 4, mode="replicate")[:, 0]
    soft = convolve(wide, weight)[:, half : half + size[0], half : half + size[1]]
    return boundary_levels(soft.clamp(0, 1)) > INSIDE
