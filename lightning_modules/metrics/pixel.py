"""Localization metrics from histograms of pixel scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 256  # so that a score is known to 0.4 %


@dataclass(frozen=True, slots=True)
class Histograms:
    """Counts per bin of score, lowest first; each (..., BINS)."""

    forged: Tensor  # forged pixels of fakes
    untouched: Tensor  # other pixels of fakes
    real: Tensor  # pixels of reals


def histogram(score: Tensor, chosen: Tensor) -> Tensor:
    """
    Args:
        score: (N, P) in [0, 1].
        chosen: (N, P) bool, the pixels that count.

    Returns:
        (N, BINS) counts.
    """
    n = len(score)
    bin = (score.float() * BINS).long().clamp_(0, BINS - 1) + BINS * torch.arange(n, device=score.device)[:, None]
    counts = torch.bincount(bin[chosen], minlength=n * BINS)
    return counts.view(n, BINS)


def above(counts: Tensor) -> Tensor:
    """(..., BINS + 1): how many lie in a bin or higher; the last is 0."""
    return torch.cat([counts.flip(-1).cumsum(-1).flip(-1), torch.zeros_like(counts[..., :1])], -1)


# of histograms (..., BINS) each metric is (...); where it has no pixels to speak of, it is nan


def auroc(h: Histograms) -> Tensor:
    tpr, fpr = (above(counts) / counts.sum(-1, keepdim=True) for counts in (h.forged, h.untouched))
    return torch.trapezoid(tpr.flip(-1), fpr.flip(-1)).float()


def average_precision(h: Histograms) -> Tensor:
    hits, alarms = above(h.forged).flip(-1), above(h.untouched).flip(-1)
    precision = hits / (hits + alarms).clamp(min=1)
    return ((precision[..., 1:] * hits.diff()).sum(-1) / hits[..., -1]).float()


def bin_of(threshold: float | Tensor) -> int:
    return min(BINS, max(0, round(float(threshold) * BINS)))


def where_forged(h: Histograms, value: Tensor) -> Tensor:
    return value.masked_fill(h.forged.sum(-1) == 0, float("nan")).float()


def iou(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    hits, alarms = above(h.forged)[..., bin_of(threshold)], above(h.untouched)[..., bin_of(threshold)]
    return where_forged(h, hits / (h.forged.sum(-1) + alarms))


def f1(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    hits, alarms = above(h.forged)[..., bin_of(threshold)], above(h.untouched)[..., bin_of(threshold)]
    return where_forged(h, 2 * hits / (hits + alarms + h.forged.sum(-1)))


def false_alarm_area(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    """Share of the pixels of real faces that are called forged."""
    return (above(h.real)[..., bin_of(threshold)] / h.real.sum(-1)).float()


def best_threshold(h: Histograms) -> Tensor:
    """Where F1 is highest."""
    hits, alarms = above(h.forged), above(h.untouched)
    best = (2 * hits / (hits + alarms + h.forged.sum(-1, keepdim=True))).argmax(-1) / BINS
    return where_forged(h, best)
