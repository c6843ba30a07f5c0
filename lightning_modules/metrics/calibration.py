"""From scores to probabilities: Platt scaling (1999) of log odds, fitted as if there were as many reals as fakes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.metrics.functional import create_nan, log_odds, one_class, require_finite


class Calibration(NamedTuple):
    slope: float
    bias: float


STEPS, CLOSE = 100, 1e-10


@require_finite
def platt(score: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and bias of the log odds; undefined where a higher score does not make a forgery more likely.

    Both classes weigh the same, so that a probability of a half says as much as no score at all. Labels are Platt's,
    not quite 0 and 1: where all is told apart, no slope is steep enough else.
    """
    nothing = create_nan(score), create_nan(score)
    x, fake = log_odds(score), label == 1
    if one_class(label) or not x.std() > 0:
        return nothing
    counts = torch.stack([(~fake).sum(), fake.sum()]).double()
    sure = (counts.min() + 1) / (counts.min() + 2)  # the same for both, or the larger class would shift the bias
    target, weight = torch.where(fake, sure, 1 - sure), 1 / (2 * counts)[fake.long()]
    centre, spread = x.mean(), x.std()
    x = torch.stack([(x - centre) / spread, torch.ones_like(x)], 1)  # (N, 2)

    def loss(at: Tensor) -> Tensor:
        return (weight * torch.nn.functional.binary_cross_entropy_with_logits(x @ at, target, reduction="none")).sum()

    at = x.new_zeros(2)
    for _ in range(STEPS):
        p = (x @ at).sigmoid()
        gradient = x.T @ (weight * (p - target))
        curvature = x.T @ (x * (weight * p * (1 - p))[:, None])
        step = torch.linalg.solve(curvature + 1e-12 * torch.eye(2, dtype=x.dtype, device=x.device), gradient)
        while loss(at - step) > loss(at) and step.abs().max() > CLOSE:
            step = step / 2
        at = at - step
        if step.abs().max() <= CLOSE:
            break
    slope = at[0] / spread
    return (slope.float(), (at[1] - slope * centre).float()) if slope > 0 else nothing


def slope(score: Tensor, label: Tensor) -> Tensor:
    return platt(score, label)[0]


def bias(score: Tensor, label: Tensor) -> Tensor:
    return platt(score, label)[1]


def calibrate(score: Tensor, slope: float | Tensor, bias: float | Tensor) -> Tensor:
    """Probabilities of a forgery where as many videos are real as forged."""
    return (slope * log_odds(score) + bias).sigmoid().to(score.dtype)
