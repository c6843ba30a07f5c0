"""Losses of a predicted mask, over the samples whose true one is known."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from datamodules.batch import Batch


def cross_entropy(logit: Tensor, batch: Batch) -> Tensor:
    """
    Args:
        logit: (B, T, 1, H, W), of the first frames if of fewer.
    """
    target = batch.mask[:, : logit.shape[1]]
    each = F.binary_cross_entropy_with_logits(logit.float(), target, reduction="none").flatten(1).mean(1)
    known = batch.has_mask.float()
    return (each * known).sum() / known.sum().clamp(min=1)


def dice(logit: Tensor, batch: Batch) -> Tensor:
    """Of fakes alone: a real face has nothing to overlap with."""
    p, t = logit.float().sigmoid().flatten(1), batch.mask[:, : logit.shape[1]].flatten(1)
    each = 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)
    forged = (batch.has_mask & (batch.label == 1)).float()
    return (each * forged).sum() / forged.sum().clamp(min=1)


def balanced_cross_entropy(logit: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Forged pixels, of which there are few, together weigh as much as all others.

    Args:
        logit: (B, T, 1, h, w).
        target: Target of the same shape, in [0, 1]; the share by which a pixel counts as forged.
        known: (B,) bool, rows whose target is true.
    """
    forged = target * known.view(-1, 1, 1, 1, 1)
    other = (1 - target) * known.view(-1, 1, 1, 1, 1)
    missed, alarmed = F.softplus(-logit.float()), F.softplus(logit.float())
    # a batch may have none, or less than one pixel of them, which then weighs as little
    return (
        (missed * forged).sum() / forged.sum().clamp(min=1) + (alarmed * other).sum() / other.sum().clamp(min=1)
    ) / 2
