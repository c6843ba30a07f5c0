"""Whether a face is unlike those that its methods were trained on, so that what they say of it means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suite.detect.thresholds import format_apart


@dataclass(frozen=True, kw_only=True)
class Distance:
    """From the faces of a method's training, as its checkpoint knows them."""

    name: str  # of the method
    value: float
    limit: float

    @property
    def share(self) -> float:
        return self.value / self.limit


def explain_unlike(distances: Sequence[Distance], most: float) -> list[str]:
    """The reason not to judge a face: at least half of the methods that can tell find it unlike. Empty otherwise.

    Args:
        distances: Of the methods that can tell.
        most: Largest distance, over the limit.
    """
    far = [one for one in distances if one.share > most]
    if not far or 2 * len(far) < len(distances):
        return []
    worst = max(far, key=lambda one: one.share)
    by = f" by {worst.name}" if len(distances) > 1 else ""
    limit, value = format_apart(most * worst.limit, worst.value, least=2)
    return [f"unlike the faces it was trained on (distance {value}, limit {limit}{by})"]
