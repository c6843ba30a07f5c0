"""Operating points: which score a given share of validation's real videos exceeds, and what is missed there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import floor

import torch
from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules.metrics.functional import SURE, require_finite

FORGED_FPR, UNCLEAR_FPR = 0.05, 0.2  # largest shares of real videos that are called so, or more, by mistake
KEPT = 512  # scores of each class that a checkpoint keeps; of more videos, that many evenly spaced in their order


def ranks(n: int) -> Tensor:
    """Which of ``n`` sorted scores are kept, the lowest and the highest among them."""
    return torch.linspace(0, n - 1, min(n, KEPT), dtype=torch.float64).round().long()


@require_finite
def sample(score: Tensor, label: Tensor) -> Tensor:
    """(2, KEPT) sorted scores of reals and of fakes, then not a number where there are fewer."""
    out = score.new_full((2, KEPT), float("nan"))
    for kind in (0, 1):
        mine = score[label == kind].sort().values
        kept = mine[ranks(len(mine)).to(mine.device)]
        out[kind, : len(kept)] = kept
    return out


@require_finite
def count(score: Tensor, label: Tensor) -> Tensor:
    """(2,) numbers of reals and of fakes."""
    return torch.stack([(label == 0).sum(), (label == 1).sum()]).to(score.dtype)


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """
    Args:
        wanted: Largest share of real videos above the threshold.
        threshold: A score of a video above it is an alarm; one that is equal is none.
        false_alarms: Real videos of validation above it; where there are more than are kept, no fewer than there were.
        misses: Forged ones that are not above it, counted as carefully.
        is_resolved: Whether validation had enough real videos to tell so small a share.
    """

    wanted: float
    threshold: float
    false_alarms: int
    reals: int
    misses: int
    fakes: int
    is_resolved: bool

    @property
    def false_alarm_rate(self) -> float:
        return self.false_alarms / self.reals

    @property
    def miss_rate(self) -> float:
        return self.misses / self.fakes


@dataclass(frozen=True, kw_only=True)
class ValidationScores:
    """Scores of the videos of a validation, as a checkpoint keeps them.

    Args:
        scores: (2, KEPT) as ``sample`` gives them.
        counts: (2,) as ``count`` gives them.
    """

    scores: Tensor
    counts: Tensor

    @cached_property
    def sorted_scores(self) -> tuple[Tensor, Tensor]:
        """Of reals and of fakes, the lowest first; as sure as a probability can be, or counts were not of verdicts."""
        reals, fakes = (row[~row.isnan()].double().cpu().clamp(SURE, 1 - SURE) for row in self.scores)
        return reals, fakes

    @cached_property
    def numbers(self) -> tuple[int, int]:
        reals, fakes = (int(n) for n in self.counts.tolist())
        return reals, fakes

    def find_point(self, wanted: float) -> OperatingPoint:
        """Where a further real video is above the threshold with a chance of at most ``wanted``.

        Of n scores and the further one each is as likely to be the highest: with k of the n above it, the k + 1 st
        highest is exceeded with a chance of (k + 1) / (n + 1), which is what k is chosen by (split conformal
        prediction). With fewer than 1 / wanted - 1 real videos no score is high enough; the highest is taken.
        """
        if not 0 < wanted < 1:
            raise UserError(f"share of false alarms {wanted:g}: must be above 0 and below 1, for instance 0.05")
        (reals, _), (n, fakes) = self.sorted_scores, self.numbers
        above = floor(wanted * (n + 1) + 1e-9) - 1
        # the lowest kept score with at most so many above it
        place = int((n - 1 - ranks(n) <= max(above, 0)).nonzero()[0])
        threshold = float(reals[place])
        return OperatingPoint(
            wanted=wanted,
            threshold=threshold,
            false_alarms=self.count_above(0, threshold),
            reals=n,
            misses=self.count_below(1, threshold),
            fakes=fakes,
            is_resolved=above >= 0,
        )

    def count_above(self, kind: int, score: float) -> int:
        """Videos of a class with a higher score, at most: exact where all are kept."""
        kept, n = self.sorted_scores[kind], self.numbers[kind]
        lower = int((kept <= score).sum())
        return n - 1 - int(ranks(n)[lower - 1]) if lower else n

    def count_below(self, kind: int, score: float) -> int:
        """Videos of a class with no higher score, at most: exact where all are kept."""
        kept, n = self.sorted_scores[kind], self.numbers[kind]
        lower = int((kept <= score).sum())
        return int(ranks(n)[lower]) if lower < len(kept) else n
