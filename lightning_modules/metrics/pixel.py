"""Localization metrics from histograms of the log odds of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# equal in log odds: a mask may lie below 0.004 altogether, and still rank its pixels well
BINS, LIMIT = 512, 12.0
WIDTH = 2 * LIMIT / BINS
BINNING = f"{BINS} bins of log odds from {-LIMIT:g} to {LIMIT:g}"  # as a table of predictions says of its histograms


@dataclass(frozen=True, slots=True)
class Histograms:
    """Counts per bin of score, lowest first; each (..., BINS)."""

    forged: Tensor  # forged pixels of fakes
    untouched: Tensor  # other pixels of fakes
    real: Tensor  # pixels of reals


def histogram(logit: Tensor, chosen: Tensor) -> Tensor:
    """
    Args:
        logit: (N, P), finite.
        chosen: (N, P) bool, the pixels that count.

    Returns:
        (N, BINS) counts.
    """
    n = len(logit)
    # divided first: 0, which is a half, is the lower edge of a bin, and what is a little below it is not in that bin
    bin = (logit.float() / WIDTH).floor().long().add_(BINS // 2).clamp_(0, BINS - 1)
    bin += BINS * torch.arange(n, device=logit.device)[:, None]
    counts = torch.bincount(bin[chosen], minlength=n * BINS)
    return counts.view(n, BINS)


def edges() -> Tensor:
    """(BINS,) the least score of each bin, where thresholds lie."""
    least = ((torch.arange(BINS, dtype=torch.float64) - BINS // 2) * WIDTH).sigmoid()
    least[0] = 0  # all that is lower is there too
    return least


def bin_of(threshold: float | Tensor) -> int:
    """The first bin at or above it, of BINS; thresholds that are no edge are rounded to one."""
    odds = torch.as_tensor(threshold, dtype=torch.float64).logit()
    return int((odds / WIDTH).round().clamp(-BINS // 2, BINS // 2)) + BINS // 2


def centres() -> np.ndarray:
    """(BINS,) scores."""
    out: np.ndarray = ((torch.arange(BINS, dtype=torch.float64) + 0.5 - BINS // 2) * WIDTH).sigmoid().numpy()
    return out


def count_above(counts: Tensor) -> Tensor:
    """(..., BINS + 1): how many lie in a bin or higher; the last is 0."""
    return torch.cat([counts.flip(-1).cumsum(-1).flip(-1), torch.zeros_like(counts[..., :1])], -1)


# of histograms (..., BINS) each metric is (...); where it has no pixels to speak of, it is nan


def auroc(h: Histograms) -> Tensor:
    tpr, fpr = (count_above(counts) / counts.sum(-1, keepdim=True) for counts in (h.forged, h.untouched))
    return torch.trapezoid(tpr.flip(-1), fpr.flip(-1)).float()


def average_precision(h: Histograms) -> Tensor:
    hits, alarms = count_above(h.forged).flip(-1), count_above(h.untouched).flip(-1)
    precision = hits / (hits + alarms).clamp(min=1)
    return ((precision[..., 1:] * hits.diff()).sum(-1) / hits[..., -1]).float()


def select_forged(h: Histograms, value: Tensor) -> Tensor:
    return value.masked_fill(h.forged.sum(-1) == 0, float("nan")).float()


def iou(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    hits, alarms = count_above(h.forged)[..., bin_of(threshold)], count_above(h.untouched)[..., bin_of(threshold)]
    return select_forged(h, hits / (h.forged.sum(-1) + alarms))


def f1(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    hits, alarms = count_above(h.forged)[..., bin_of(threshold)], count_above(h.untouched)[..., bin_of(threshold)]
    return select_forged(h, 2 * hits / (hits + alarms + h.forged.sum(-1)))


def false_alarm_area(h: Histograms, threshold: float | Tensor = 0.5) -> Tensor:
    """Share of the pixels of real faces that are called forged."""
    return (count_above(h.real)[..., bin_of(threshold)] / h.real.sum(-1)).float()


def best_threshold(h: Histograms) -> Tensor:
    """Where F1 is highest."""
    hits, alarms = count_above(h.forged), count_above(h.untouched)
    best = (2 * hits / (hits + alarms + h.forged.sum(-1, keepdim=True)))[..., :BINS].argmax(-1)
    return select_forged(h, edges().to(best.device)[best])
