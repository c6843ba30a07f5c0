"""Figures of merit as pure functions of scores and labels; undefined ones are NaN, never 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

Figure = Callable[[Tensor, Tensor], Tensor]  # (N,) scores in [0, 1] and (N,) labels to ()
# what of its frames a video's score is the mean of; suspects: the scores above a half, and all where there is none
Pooled = Literal["score", "logit", "suspects"]


def undefined(score: Tensor) -> Tensor:
    return score.new_full((), float("nan"))


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


def auroc(score: Tensor, label: Tensor) -> Tensor:
    if one_class(label):
        return undefined(score)
    fpr, tpr = roc(score, label)
    return torch.trapezoid(tpr, fpr).to(score.dtype)


def average_precision(score: Tensor, label: Tensor) -> Tensor:
    if not label.any():
        return undefined(score)
    hits, alarms, _ = operating_points(score, label)
    gained = hits.diff(prepend=hits.new_zeros(1)) / hits[-1]
    return (gained * hits / (hits + alarms)).sum().to(score.dtype)


def eer(score: Tensor, label: Tensor) -> Tensor:
    """Where misses and false alarms are equal, between two thresholds by interpolation."""
    if one_class(label):
        return undefined(score)
    fpr, tpr = roc(score, label)
    gap = fpr - (1 - tpr)  # rises from -1 to 1
    j = int((gap >= 0).nonzero()[0])
    share = gap[j - 1] / (gap[j - 1] - gap[j])
    return (fpr[j - 1] + share * (fpr[j] - fpr[j - 1])).to(score.dtype)


def tpr_at_fpr(score: Tensor, label: Tensor, most: float = 0.01) -> Tensor:
    """The best true positive rate among thresholds whose false positive rate is at most ``most``."""
    if one_class(label):
        return undefined(score)
    fpr, tpr = roc(score, label)
    return tpr[fpr <= most].max().to(score.dtype)


def accuracy(score: Tensor, label: Tensor, threshold: float | Tensor = 0.5) -> Tensor:
    return ((score >= threshold) == label.bool()).float().mean() if len(label) else undefined(score)


def balanced_accuracy(score: Tensor, label: Tensor, threshold: float | Tensor = 0.5) -> Tensor:
    if one_class(label):
        return undefined(score)
    said, fake = score >= threshold, label.bool()
    return (said[fake].float().mean() + (~said[~fake]).float().mean()) / 2


def best_threshold(score: Tensor, label: Tensor) -> Tensor:
    """Half way between the scores where balanced accuracy is highest; 0.5 where there is one class only."""
    if one_class(label):
        return score.new_full((), 0.5)
    hits, alarms, threshold = operating_points(score, label)
    j = int((hits / hits[-1] - alarms / alarms[-1]).argmax())
    below = threshold[j + 1] if j + 1 < len(threshold) else threshold[j]
    return (threshold[j] + below) / 2


def rates(score: Tensor, label: Tensor, threshold: float | Tensor = 0.5) -> tuple[Tensor, Tensor]:
    """Shares of the reals and of the fakes that are called fake."""
    said, fake = (score >= threshold).float(), label.bool()
    return tuple(said[of].mean() if of.any() else undefined(said) for of in (~fake, fake))  # type: ignore[return-value]


def best_balanced_accuracy(score: Tensor, label: Tensor) -> Tensor:
    return balanced_accuracy(score, label, best_threshold(score, label))


def brier(score: Tensor, label: Tensor) -> Tensor:
    return ((score - label.to(score.dtype)) ** 2).mean() if len(label) else undefined(score)


def ece(score: Tensor, label: Tensor) -> Tensor:
    """Expected gap between the score and the share of fakes, over 15 bins of equal width."""
    if not len(label):
        return undefined(score)
    # torchmetrics bins the score itself for two classes, as meant here
    return binary_calibration_error(score, label.long(), n_bins=15)


COLDEST, HOTTEST = 0.05, 20.0


def temperature(score: Tensor, label: Tensor) -> Tensor:
    """What logits are to be divided by to be as sure as they are right (Guo et al., 2017); 1 where nothing says so.

    The labels are those of Platt (1999), not quite 0 and 1: where all is told apart, no temperature is low enough else.
    """
    if one_class(label):
        return score.new_ones(())
    logit, fake = score.double().logit(eps=1e-7), label.double()
    fakes, reals = fake.sum(), (1 - fake).sum()
    target = fake * (fakes + 1) / (fakes + 2) + (1 - fake) / (reals + 2)
    low, high = logit.new_tensor(1 / HOTTEST), logit.new_tensor(1 / COLDEST)
    for _ in range(50):  # the loss is convex in 1 / temperature: halve where its slope changes sign
        middle = (low + high) / 2
        rises = (((middle * logit).sigmoid() - target) * logit).sum() > 0
        low, high = (low, middle) if rises else (middle, high)
    return (2 / (low + high)).to(score.dtype)


def cooled(score: Tensor, at: float | Tensor) -> Tensor:
    """Probabilities after temperature scaling."""
    return (score.double().logit(eps=1e-7) / at).sigmoid().to(score.dtype)


@dataclass(frozen=True, slots=True)
class Scored:
    """One score per frame or per video."""

    score: Tensor  # (N,)
    label: Tensor  # (N,)
    id: Tensor  # (N,) of the video


def by_frame(score: Tensor, label: Tensor, video: Tensor, frame: Tensor) -> Scored:
    """The most suspicious face of each frame: a bystander beside a forged face is no miss."""
    moments, moment = torch.unique(torch.stack([video, frame], 1), dim=0, return_inverse=True)
    worst = score.new_zeros(len(moments)).scatter_reduce_(0, moment, score, "amax", include_self=False)
    return Scored(worst, label.new_zeros(len(moments)).scatter_(0, moment, label), moments[:, 0])


def by_video(score: Tensor, label: Tensor, video: Tensor, frame: Tensor, mean_of: Pooled = "score") -> Scored:
    """The mean over the frames of each video; of suspects, over all faces of all frames."""
    frames = Scored(score, label, video) if mean_of == "suspects" else by_frame(score, label, video, frame)
    ids, slot = torch.unique(frames.id, return_inverse=True)
    values = frames.score.double().logit(eps=1e-7) if mean_of == "logit" else frames.score
    chosen = torch.ones_like(values, dtype=torch.bool)
    if mean_of == "suspects":
        largest = values.new_zeros(len(ids)).scatter_reduce_(0, slot, values, "amax")
        chosen = (values > 0.5) | (largest[slot] <= 0.5)
    mean = values.new_zeros(len(ids)).scatter_reduce_(0, slot[chosen], values[chosen], "mean", include_self=False)
    if mean_of == "logit":
        mean = mean.sigmoid()
    return Scored(mean, label.new_zeros(len(ids)).scatter_(0, slot, frames.label), ids)
