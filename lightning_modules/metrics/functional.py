"""Metrics as pure functions of scores and labels; undefined ones are NaN, never 0."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, Literal, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")
ECE_BINS = 15
SURE = 1e-7  # a score as near as this to 0 or 1 counts as this near
MOST_ODDS = math.log((1 - SURE) / SURE)
Function = Callable[[Tensor, Tensor], Tensor]  # (N,) scores in [0, 1] and (N,) labels to ()
# what of its frames a video's score is the mean of; suspects: the scores above a half, and all where there is none
Pooled = Literal["score", "logit", "suspects"]


def create_nan(score: Tensor) -> Tensor:
    return score.new_full((), float("nan"))


def require_finite(function: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """Refuses scores that are no numbers: sorted with others, they would be the best, or whatever their place says."""

    @functools.wraps(function)
    def call_checked(score: Tensor, *args: P.args, **kwargs: P.kwargs) -> R:
        if not score.isfinite().all():
            i = int((~score.isfinite()).nonzero()[0])
            raise ValueError(f"{function.__name__}: score {i} is {float(score[i])}; scores must be finite")
        return function(score, *args, **kwargs)

    return call_checked


def log_odds(score: Tensor) -> Tensor:
    """Of a score that is quite sure, not infinite ones."""
    return score.double().logit(eps=SURE)


@require_finite
def operating_points(score: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True and false positives at each distinct threshold, highest first: (K,), (K,), (K,)."""
    order = score.argsort(descending=True)
    score, label = score[order], label[order].double()
    last = torch.cat([score[1:] != score[:-1], score.new_ones(1, dtype=torch.bool)])
    hits = label.cumsum(0)[last]
    return hits, (1 - label).cumsum(0)[last], score[last]


def roc(score: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """False and true positive rates from (0, 0) to (1, 1)."""
    hits, alarms, _ = operating_points(score, label)
    start = hits.new_zeros(1)
    return torch.cat([start, alarms / alarms[-1]]), torch.cat([start, hits / hits[-1]])


def one_class(label: Tensor) -> bool:
    return len(label) == 0 or bool((label == label[0]).all())


@require_finite
def auroc(score: Tensor, label: Tensor) -> Tensor:
    if one_class(label):
        return create_nan(score)
    fpr, tpr = roc(score, label)
    return torch.trapezoid(tpr, fpr).to(score.dtype)


@require_finite
def average_precision(score: Tensor, label: Tensor) -> Tensor:
    if not label.any():
        return create_nan(score)
    hits, alarms, _ = operating_points(score, label)
    gained = hits.diff(prepend=hits.new_zeros(1)) / hits[-1]
    return (gained * hits / (hits + alarms)).sum().to(score.dtype)


@require_finite
def eer(score: Tensor, label: Tensor) -> Tensor:
    """Where misses and false alarms are equal, between two thresholds by interpolation."""
    if one_class(label):
        return create_nan(score)
    fpr, tpr = roc(score, label)
    gap = fpr - (1 - tpr)  # rises from -1 to 1
    j = int((gap >= 0).nonzero()[0])
    share = gap[j - 1] / (gap[j - 1] - gap[j])
    return (fpr[j - 1] + share * (fpr[j] - fpr[j - 1])).to(score.dtype)


@require_finite
def tpr_at_fpr(score: Tensor, label: Tensor, most: float = 0.01) -> Tensor:
    """The best true positive rate among thresholds whose false positive rate is at most ``most``."""
    if one_class(label):
        return create_nan(score)
    fpr, tpr = roc(score, label)
    return tpr[fpr <= most].max().to(score.dtype)


@require_finite
def accuracy(score: Tensor, label: Tensor, threshold: float | Tensor = 0.5) -> Tensor:
    return ((score >= threshold) == label.bool()).float().mean() if len(label) else create_nan(score)


@require_finite
def balanced_accuracy(score: Tensor, label: Tensor, threshold: float | Tensor = 0.5) -> Tensor:
    if one_class(label):
        return create_nan(score)
    said, fake = score >= threshold, label.bool()
    return (said[fake].float().mean() + (~said[~fake]).float().mean()) / 2


@require_finite
def best_threshold(score: Tensor, label: Tensor) -> Tensor:
    """Half way between the scores where balanced accuracy is highest."""
    if one_class(label):
        return create_nan(score)
    hits, alarms, threshold = operating_points(score, label)
    j = int((hits / hits[-1] - alarms / alarms[-1]).argmax())
    below = threshold[j + 1] if j + 1 < len(threshold) else threshold[j]
    middle = (threshold[j] + below) / 2
    return torch.where(middle > below, middle, threshold[j])  # of neighbours it may round onto the lower one


@require_finite
def false_positive_rate(score: Tensor, label: Tensor, threshold: float | Tensor = 0.5) -> Tensor:
    """Share of the reals that are called fake."""
    real = label == 0
    return (score[real] >= threshold).float().mean() if real.any() else create_nan(score)


@require_finite
def true_positive_rate(score: Tensor, label: Tensor, threshold: float | Tensor = 0.5) -> Tensor:
    """Share of the fakes that are called fake."""
    fake = label == 1
    return (score[fake] >= threshold).float().mean() if fake.any() else create_nan(score)


@require_finite
def brier(score: Tensor, label: Tensor) -> Tensor:
    return ((score - label.to(score.dtype)) ** 2).mean() if len(label) else create_nan(score)


@require_finite
def ece(score: Tensor, label: Tensor) -> Tensor:
    """Expected gap between the score and the share of fakes, over 15 bins of equal width, at balanced classes.

    Reals and fakes weigh the same: else a score that knows nothing would have the class prior's distance to a half.
    """
    if one_class(label):
        return create_nan(score)
    fake = label.bool()
    counts = torch.stack([(~fake).sum(), fake.sum()]).double()
    weight = (1 / (2 * counts))[fake.long()]
    bin = (score * ECE_BINS).ceil().long().sub_(1).clamp_(0, ECE_BINS - 1)
    gap = torch.zeros(ECE_BINS, dtype=torch.float64, device=score.device)
    return gap.index_add_(0, bin, weight * (score.double() - fake.double())).abs().sum().to(score.dtype)


@dataclass(frozen=True, slots=True)
class Scored:
    """One score per frame or per video."""

    score: Tensor  # (N,)
    label: Tensor  # (N,)
    id: Tensor  # (N,) of the video


@require_finite
def pool_by_frame(score: Tensor, label: Tensor, video: Tensor, frame: Tensor) -> Scored:
    """The most suspicious face of each frame: a bystander beside a forged face is no miss."""
    frames, index = torch.unique(torch.stack([video, frame], 1), dim=0, return_inverse=True)
    worst = score.new_zeros(len(frames)).scatter_reduce_(0, index, score, "amax", include_self=False)
    return Scored(worst, label.new_zeros(len(frames)).scatter_(0, index, label), frames[:, 0])


def exact(score: Tensor) -> Tensor:
    """In double precision: there the mean of equal scores is that score, of however many frames."""
    return score if score.device.type == "mps" else score.double()  # Apple's GPUs have single precision alone


@require_finite
def pool_by_video(
    score: Tensor, label: Tensor, video: Tensor, frame: Tensor, score_pooling: Pooled = "score"
) -> Scored:
    """The mean over the frames of each video; of suspects, over all faces of all frames."""
    score = exact(score)
    frames = Scored(score, label, video) if score_pooling == "suspects" else pool_by_frame(score, label, video, frame)
    ids, slot = torch.unique(frames.id, return_inverse=True)
    values = log_odds(frames.score) if score_pooling == "logit" else frames.score
    chosen = torch.ones_like(values, dtype=torch.bool)
    if score_pooling == "suspects":
        largest = values.new_zeros(len(ids)).scatter_reduce_(0, slot, values, "amax")
        chosen = (values > 0.5) | (largest[slot] <= 0.5)
    mean = values.new_zeros(len(ids)).scatter_reduce_(0, slot[chosen], values[chosen], "mean", include_self=False)
    if score_pooling == "logit":
        mean = mean.sigmoid()
    return Scored(mean, label.new_zeros(len(ids)).scatter_(0, slot, frames.label), ids)
