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
