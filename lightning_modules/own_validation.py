"""How well a training did its own task: without that, what it does elsewhere says nothing of its method."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from datamodules.runtime.errors import UserError

LIMIT = 0.9  # below it a training has not learned what it was trained on
METRIC = "val/video_auroc"
KEY = "own_validation"  # of a checkpoint, an exported folder and a table of predictions
SINGLE = 1e-6  # that single precision may be off: 0.9 is kept as 0.89999998
UNKNOWN, NOT_NEEDED = "unknown", "none"


def check_limit(limit: float) -> None:
    if not 0 <= limit <= 1:
        raise UserError(
            f"min_validation_auroc {limit:g}: must be a video AUROC, from 0 (no limit) to 1; the default is {LIMIT:g}"
        )


def find_needed(limit: float) -> float:
    """What a training must reach to have learned its own task, also where the tests of all are shown."""
    return limit or LIMIT


@dataclass(frozen=True, kw_only=True)
class OwnValidation:
    """
    Args:
        auroc: Video AUROC on the validation split of the training data, of the very weights; None where unknown.
        is_needed: Whether there is one: not of first stages, nor of what has nothing to train.
    """

    auroc: float | None
    is_needed: bool = True

    @classmethod
    def from_text(cls, text: str | None) -> OwnValidation:
        """As a table of predictions has it; None of a table that is older."""
        if text is None or text in (UNKNOWN, NOT_NEEDED):
            return cls(auroc=None, is_needed=text != NOT_NEEDED)
        return cls(auroc=float(text))

    def to_text(self) -> str:
        if not self.is_needed:
            return NOT_NEEDED
        return UNKNOWN if self.auroc is None else str(self.auroc)

    def is_below(self, limit: float) -> bool:
        return self.is_needed and self.auroc is not None and self.auroc < limit - SINGLE

    def describe(self, limit: float) -> str:
        """Nothing where nothing is needed."""
        if not self.is_needed:
            return ""
        if self.auroc is None:
            return "own validation unknown"
        said = f"own validation {format_auroc(self.auroc)}"
        return f"not trained ({said}, needs {limit:.2f})" if self.is_below(limit) else said


def format_auroc(auroc: float) -> str:
    """Never rounded up: 0.899 is below 0.90."""
    return f"{floor(100 * (auroc + SINGLE)) / 100:.2f}"
