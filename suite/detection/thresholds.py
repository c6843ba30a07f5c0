"""The three verdicts, and the two thresholds between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from datamodules.errors import Refused
from lightning_modules.metrics.operating import OperatingPoint
from lightning_modules.trained import Trained

Verdict = Literal["forged", "unclear", "no forgery found", "no verdict"]


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of real videos that may be called so by mistake."""

    forged_at: float = 0.05
    unclear_at: float = 0.2

    def __post_init__(self) -> None:
        for name in ("forged_at", "unclear_at"):
            if not 0 < getattr(self, name) < 1:
                raise Refused(f"{name} {getattr(self, name):g}: must be above 0 and below 1, a share of real videos")
        if self.unclear_at < self.forged_at:
            raise Refused(
                f"unclear_at {self.unclear_at:g}: must be at least forged_at, {self.forged_at:g}: what is called "
                "forged would be unclear as well"
            )


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Of the probability of a face; what is above one has that verdict, at least."""

    forged: float
    unclear: float

    def verdict(self, probability: float) -> Verdict:
        if probability > self.forged:
            return "forged"
        return "unclear" if probability > self.unclear else "no forgery found"


def points_of(method: Trained, rates: Rates) -> tuple[OperatingPoint, OperatingPoint]:
    """Where a video is forged, and where unclear."""
    return method.at(rates.forged_at), method.at(rates.unclear_at)


def thresholds_of(methods: Sequence[Trained], rates: Rates) -> Thresholds:
    """Means over the methods, as the probability is."""
    points = [(one, points_of(one, rates)) for one in methods]
    return Thresholds(
        forged=fmean(one.calibrated(forged.threshold) for one, (forged, _) in points),
        unclear=fmean(one.calibrated(unclear.threshold) for one, (_, unclear) in points),
    )
