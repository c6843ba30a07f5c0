"""What Forensics Adapter is taught: the boundary of a blend, and which patches are forged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SET = 40 / 255  # a mask above it is forged
SHARE = 0.1  # of a patch


def xray(mask: Tensor) -> Tensor:
    """Most where the blurred mask is a half.

    Args:
        mask: (N, 1, H, W) in [0, 1].
    """
    line = mask.new_tensor([0.25, 0.5, 0.25])
    padded = F.pad(mask, (1, 1, 1, 1), mode="reflect")
    blurred = F.conv2d(padded, (line[:, None] * line)[None, None])
    return 4 * blurred * (1 - blurred)


def patch_shares(mask: Tensor, side: int, grid: int) -> Tensor:
    """(N, 1, grid, grid) of each patch how much is forged.

    Args:
        side: Of the image that the patches are of; masks of another are resized.
    """
    if mask.shape[-1] != side or mask.shape[-2] != side:
        mask = F.interpolate(mask, (side, side), mode="bilinear")
    return F.avg_pool2d((mask > SET).to(mask.dtype), side // grid)


def patch_labels(shares: Tensor, compat: bool) -> tuple[Tensor, Tensor]:
    """Which patches are forged, and which are on the boundary, both bool.

    Args:
        compat: As released code counts: all pixels of a patch count as not forged as well, and a patch that is forged
            throughout is on the boundary.
    """
    if compat:
        forged = shares / (shares + 1) > SHARE
        return forged, forged
    forged = shares > SHARE
    return forged, forged & (shares < 1)


def contrast(first: Tensor, second: Tensor) -> Tensor:
    """Sum over all rows and pairs of patches of the kernel of their directions.

    Args:
        first: (N, L, C) unit vectors, or zeros.
        second: (N, L, C) likewise.
    """
    return torch.exp(2 * first @ second.mT).sum()


def inner_contrast(patches: Tensor, forged: Tensor, is_fake: Tensor) -> Tensor:
    """Within forged images: real patches are alike, and unlike forged ones.

    Args:
        patches: (N, L, C).
        forged: (N, L) bool.
        is_fake: (N,) bool.
    """
    if not bool(is_fake.any()):
        return patches.sum() * 0
    unit = F.normalize(patches[is_fake].float() if patches.dtype == torch.bfloat16 else patches[is_fake], dim=-1)
    chosen = forged[is_fake][..., None].to(unit.dtype)
    # vectors of other patches are zeros, and each pair with one counts as at a right angle, as published
    real, fake = unit * (1 - chosen), unit * chosen
    positive, negative = contrast(real, real), contrast(fake, real)
    return -(positive / (positive + negative)).log()


def outer_contrast(patches: Tensor, label: Tensor, generator: torch.Generator) -> Tensor:
    """Between images: a real image is like itself, and unlike a forged one that is drawn for it."""
    real, fake = ((label == kind).nonzero().flatten() for kind in (0, 1))
    count = min(len(real), len(fake))
    if count == 0:
        return patches.sum() * 0
    order = torch.randperm(len(fake), generator=generator)[:count].to(fake.device)
    unit = F.normalize(patches.float() if patches.dtype == torch.bfloat16 else patches, dim=-1)
    mine, other = unit[real[:count]], unit[fake[order]]
    positive, negative = contrast(mine, mine), contrast(mine, other)
    return -(positive / (positive + negative)).log()
