"""The three losses of LAA-Net, in float32 whatever the network computes in."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from lightning_modules.laa_net.network import LAAHeads
from lightning_modules.laa_net.targets import Targets

POSITIVE = 0.65 + 0.35 * 0.2  # weight of the points, a label smoothing that the released code holds


def losses(heads: LAAHeads, label: Tensor, targets: Targets) -> dict[str, Tensor]:
    """Unweighted; ``label`` is (B,)."""
    return {
        "points": focal(heads.points.float(), targets.heat),
        "label": F.binary_cross_entropy_with_logits(heads.label, label.float()),
        "consistency": consistency(heads.embedding.float(), targets),
    }


def focal(logit: Tensor, heat: Tensor) -> Tensor:
    """CornerNet's, normalized by the number of points; by nothing where there is none."""
    p = logit.sigmoid().clamp(1e-4, 1 - 1e-4)
    is_point = heat == 1
    positive = (1 - p) ** 2 * p.log() * is_point
    negative = (1 - heat) ** 4 * p**2 * (1 - p).log() * ~is_point
    return -(POSITIVE * positive.sum() + negative.sum()) / is_point.sum().clamp(min=1)


def similarity(embedding: Tensor, anchor: Tensor) -> Tensor:
    """(B, h, w) logit that a place agrees with the anchor."""
    b, c, h, w = embedding.shape
    flat = embedding.flatten(2)  # (B, C, h*w)
    at = flat.gather(2, anchor[:, None, None].expand(b, c, 1))
    return ((flat * at).sum(1) / c**0.5).view(b, h, w)


def consistency(embedding: Tensor, targets: Targets) -> Tensor:
    return F.binary_cross_entropy_with_logits(similarity(embedding, targets.anchor), targets.consistency)
