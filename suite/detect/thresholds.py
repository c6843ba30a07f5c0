"""The three verdicts, and the two thresholds between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from datamodules.runtime.errors import UserError
from lightning_modules.metrics.operating import FORGED_FPR, UNCLEAR_FPR, OperatingPoint
from lightning_modules.trained_method import Trained

Verdict = Literal["forged", "unclear", "no forgery found", "no verdict"]


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of real videos that may be called so by mistake."""

    forged_fpr: float = FORGED_FPR
    unclear_fpr: float = UNCLEAR_FPR

    def __post_init__(self) -> None:
        for name in ("forged_fpr", "unclear_fpr"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name):g}: must be above 0 and below 1, a share of real videos")
        if self.unclear_fpr < self.forged_fpr:
            raise UserError(
                f"unclear_fpr {self.unclear_fpr:g}: must be at least forged_fpr, {self.forged_fpr:g}: what is called "
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
    return method.find_point(rates.forged_fpr), method.find_point(rates.unclear_fpr)


def thresholds_of(methods: Sequence[Trained], rates: Rates) -> Thresholds:
    """Means over the methods, as the probability is."""
    points = [(one, points_of(one, rates)) for one in methods]
    return Thresholds(
        forged=fmean(one.calibrate(forged.threshold) for one, (forged, _) in points),
        unclear=fmean(one.calibrate(unclear.threshold) for one, (_, unclear) in points),
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of the videos of a validation."""

    verdict: Verdict
    range: str  # of the probability
    reals: int
    fakes: int
    real_share: str
    fake_share: str


@dataclass(frozen=True, kw_only=True)
class Performance:
    """How a method did on its validation, for people to read."""

    rows: list[Row]
    reals: int
    fakes: int
    forged_fpr: str
    unclear_fpr: str
    false_alarm_rate: str
    miss_rate: str
    alarm_rate: str  # of reals that are forged or unclear
    silent_rate: str  # of fakes that are neither
    caution: str  # where validation had too few videos

    @staticmethod
    def measure(method: Trained, rates: Rates) -> Performance:
        forged, unclear = points_of(method, rates)
        low, high = format_apart(method.calibrate(unclear.threshold), method.calibrate(forged.threshold))
        n, m = forged.reals, forged.fakes
        found: list[tuple[Verdict, str, int, int]] = [
            ("forged", f"above {high}", forged.false_alarms, m - forged.misses),
            (
                "unclear",
                f"above {low}, up to {high}" if low != high else "never",
                unclear.false_alarms - forged.false_alarms,
                forged.misses - unclear.misses,
            ),
            ("no forgery found", f"up to {low}", n - unclear.false_alarms, unclear.misses),
        ]
        return Performance(
            rows=[
                Row(
                    verdict=verdict,
                    range=where,
                    reals=reals,
                    fakes=fakes,
                    real_share=percent(reals / n),
                    fake_share=percent(fakes / m),
                )
                for verdict, where, reals, fakes in found
            ],
            reals=n,
            fakes=m,
            forged_fpr=percent(rates.forged_fpr),
            unclear_fpr=percent(rates.unclear_fpr),
            false_alarm_rate=percent(forged.false_alarm_rate),
            miss_rate=percent(forged.miss_rate),
            alarm_rate=percent(unclear.false_alarm_rate),
            silent_rate=percent(unclear.miss_rate),
            caution=explain_unresolved(forged, unclear),
        )

    def say(self) -> str:
        (forged, unclear, _) = self.rows
        return (
            f"of {self.reals:,} real videos or photographs of its validation {forged.reals:,} are called forged and "
            f"{unclear.reals:,} unclear, of {self.fakes:,} forged ones {forged.fakes:,} and {unclear.fakes:,}"
        )


def format_apart(low: float, high: float, least: int = 3) -> tuple[str, str]:
    """With as many digits as it takes to tell them apart, ``least`` or more; alike where they are equal."""
    digits = next((n for n in range(least, 17) if f"{low:.{n}f}" != f"{high:.{n}f}"), least)
    return f"{low:.{digits}f}", f"{high:.{digits}f}"


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def explain_unresolved(*points: OperatingPoint) -> str:
    """Why false alarms may be more than was wanted, empty where they should not be."""
    if not (rates := [percent(point.wanted) for point in points if not point.is_resolved]):
        return ""
    n = points[0].reals
    return (
        f"{n:,} real ones are too few to tell {' or '.join(rates)}: the threshold is the highest of their scores, "
        f"which about 1 in {n + 1:,} others exceeds"
    )
