"""The map of LAA-Net: a boundary, as the vulnerable point sees it that consistency is learnt from."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_modules.laa_net.losses import similarity
from lightning_modules.laa_net.network import LAAHeads


def boundary_logit(heads: LAAHeads) -> Tensor:
    """(B, h, w) logit that there is a vulnerable point, and that a place agrees with it."""
    points, embedding = heads.points.float().flatten(1), heads.embedding.float()
    anchor = anchor_of(points, embedding.flatten(2))
    agreement = similarity(embedding, anchor)
    # of a real face only what its first place sees is learnt: from any other, all of it may seem a boundary
    point = points.gather(1, anchor[:, None])[:, :, None].expand_as(agreement)
    return -torch.stack([-point, -agreement, -point - agreement]).logsumexp(0)  # of the product of both probabilities


def anchor_of(points: Tensor, embedding: Tensor) -> Tensor:
    """(B,) the place of the point that consistency was learnt from.

    Each quadrant has its points, and any of them may be the likeliest. What others agree with is learnt of one alone,
    where the boundary is strongest: it must agree with itself, the points of quadrants with a weak boundary need not.

    Args:
        points: (B, h * w) logit.
        embedding: (B, C, h * w).
    """
    itself = embedding.square().sum(1) / embedding.shape[1] ** 0.5
    return (points.sigmoid() * itself).argmax(1)
