"""Localization figures from histograms of pixel scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 256  # so that a score is known to 0.4 %


@dataclass(frozen=True, slots=True)
class Histograms:
    """Counts per bin of score, lowest first; each (BINS,)."""

    forged: Tensor  # forged pixels of fakes
    untouched: Tensor  # other pixels of fakes
    real: Tensor  # pixels of reals


PixelFigure = Callable[[Histograms], Tensor]


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
    """(BINS + 1,): how many lie in a bin or higher; the last is 0."""
    return torch.cat([counts.flip(0).cumsum(0).flip(0), counts.new_zeros(1)])


def nan(like: Tensor) -> Tensor:
    return like.new_full((), float("nan"), dtype=torch.float32)


def pixel_auroc(h: Histograms) -> Tensor:
    if not h.forged.sum() or not h.untouched.sum():
        return nan(h.forged)
    tpr, fpr = above(h.forged) / h.forged.sum(), above(h.untouched) / h.untouched.sum()
    return torch.trapezoid(tpr.flip(0), fpr.flip(0)).float()


def pixel_ap(h: Histograms) -> Tensor:
    if not h.forged.sum():
        return nan(h.forged)
    hits, alarms = above(h.forged).flip(0), above(h.untouched).flip(0)
    precision = hits / (hits + alarms).clamp(min=1)
    return (precision[1:] * hits.diff() / hits[-1]).sum().float()


def bin_of(threshold: float | Tensor) -> int:
    return min(BINS, max(0, round(float(threshold) * BINS)))


def iou(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    hits, alarms = above(h.forged)[bin_of(threshold)], above(h.untouched)[bin_of(threshold)]
    return (hits / (h.forged.sum() + alarms)).float() if h.forged.sum() else nan(h.forged)


def f1(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    hits, alarms = above(h.forged)[bin_of(threshold)], above(h.untouched)[bin_of(threshold)]
    return (2 * hits / (hits + alarms + h.forged.sum())).float() if h.forged.sum() else nan(h.forged)


def false_alarm_area(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    """Share of the pixels of real faces that are called forged."""
    return (above(h.real)[bin_of(threshold)] / h.real.sum()).float() if h.real.sum() else nan(h.real)


def best_threshold(h: Histograms) -> Tensor:
    """Where F1 is highest."""
    if not h.forged.sum():
        return h.forged.new_full((), 0.5, dtype=torch.float32)
    hits, alarms = above(h.forged), above(h.untouched)
    best = (2 * hits / (hits + alarms + h.forged.sum())).argmax()
    return (best / BINS).float()


ThresholdFigure = Callable[..., Tensor]  # of histograms and a threshold, 0.5 without it
FIGURES: dict[str, PixelFigure] = {"auroc": pixel_auroc, "ap": pixel_ap}
AT_THRESHOLD: dict[str, ThresholdFigure] = {"iou": iou, "f1": f1, "false_alarm_area": false_alarm_area}
