"""What keeps the features of images apart on the unit sphere: alignment of a class, uniformity of them all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SHARPNESS = 2.0  # of the kernel of uniformity
LEAST = 1e-6  # that a mean of kernels is taken as


def squared_distances(features: Tensor) -> tuple[Tensor, Tensor]:
    """(B, B) between features on the unit sphere, and which of them are those of each pair once."""
    unit = F.normalize(features.to(torch.promote_types(features.dtype, torch.float32)))
    pairs = torch.ones(len(unit), len(unit), dtype=torch.bool, device=unit.device).triu(1)
    return (unit[:, None] - unit).square().sum(2), pairs  # by differences: a product of matrices would round below 0


def alignment(features: Tensor, label: Tensor) -> Tensor:
    """Mean squared distance of two of one class; 0 where there are no two.

    Args:
        features: (B, D).
        label: (B,).
    """
    squares, pairs = squared_distances(features)
    same = pairs & (label[:, None] == label)
    return (squares * same).sum() / same.sum().clamp(min=1)  # without waiting for a GPU


def uniformity(features: Tensor) -> Tensor:
    """Logarithm of the mean Gaussian kernel of all pairs; 0 of a single image.

    Args:
        features: (B, D).
    """
    squares, pairs = squared_distances(features)
    if len(features) < 2:
        return squares.sum()
    mean = (torch.exp(-SHARPNESS * squares) * pairs).sum() / pairs.sum()
    return mean.clamp(min=LEAST).log()
