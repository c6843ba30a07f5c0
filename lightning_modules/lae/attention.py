"""Where the units of a latent layer take their activation from, and losses that move it."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Form = Literal["square", "outside_mass", "outside_evidence"]
TINY = 1e-6


def unit_maps(features: Tensor, weight: Tensor) -> Tensor:
    """(B, Z, h, w) of each unit; their means, with the bias, are the units before they are cut off at 0.

    Args:
        features: (B, K, h, w) whose means go into the linear layer.
        weight: (Z, K) of it.
    """
    return torch.einsum("zk,bkhw->bzhw", weight, features)


def evidence(features: Tensor, weight: Tensor, latent: Tensor) -> Tensor:
    """(B, h, w) sum over units of their maps, each times its activation; negative evidence is nowhere.

    Args:
        latent: (B, Z) activations of the same units.
    """
    # one channel sum instead of a map for each unit: it is the same, by the order of the sums
    return torch.einsum("bk,bkhw->bhw", latent.abs() @ weight, features).relu()


def normalize(found: Tensor) -> Tensor:
    """(B, h, w) over the largest of each; the gradient goes through it too."""
    return found / (found.amax((1, 2), keepdim=True) + TINY)


def enlarge(found: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W)."""
    return F.interpolate(found[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]


def attention_loss(features: Tensor, weight: Tensor, latent: Tensor, mask: Tensor, form: Form) -> Tensor:
    """(B,) one for each image.

    Args:
        features: (B, K, h, w).
        weight: (Z, K) of the units that say forged.
        latent: (B, Z) of them.
        mask: (B, H, W) 1 where forged.
        form: The published square of the difference, which fixes the shape of the map and not how much the decision
            owes to it; the share of the map that lies outside; or the mean activation that comes from outside.
    """
    size = mask.shape[-2:]
    if form == "outside_evidence":
        outside = enlarge(unit_maps(features, weight).mean(1).relu(), *size) * (1 - mask)
        return outside.mean((1, 2))
    found = enlarge(evidence(features, weight, latent), *size)
    if form == "outside_mass":
        return (found * (1 - mask)).sum((1, 2)) / (found.sum((1, 2)) + TINY)
    return (normalize(found) - mask).square().mean((1, 2))
