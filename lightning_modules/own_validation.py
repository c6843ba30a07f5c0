"""How well a training did its own task: without that, what it does elsewhere says nothing of its method."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isnan
from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules import fitted_values
from lightning_modules.metrics.registry import FITS, select_fixed

LIMIT = 0.9  # below it a training has not learned what it was trained on
METRIC = "val/video_auroc"
KEY = "own_validation"  # of a checkpoint, an exported folder and a table of predictions
UNKNOWN, NOT_NEEDED = "unknown", "none"


def check_limit(limit: float) -> None:
    if not 0 <= limit <= 1:
        raise UserError(f"learned {limit:g}: must be a video AUROC, from 0 (no limit) to 1; the default is {LIMIT:g}")


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
        return self.is_needed and self.auroc is not None and self.auroc < limit

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
    return f"{floor(100 * auroc + 1e-9) / 100:.2f}"


class RemembersValidation(LightningModule):
    """What a checkpoint keeps of validation, beside the weights."""

    fixes_thresholds = True  # whether validation says where the decision lies
    validated: float | None = None  # video AUROC of the last validation that trained weights have had

    @property
    def own_validation(self) -> OwnValidation:
        return OwnValidation(auroc=self.validated, is_needed=self.fixes_thresholds)

    def remember_validation(self, values: dict[str, Tensor]) -> None:
        fitted_values.store(self, values)
        if METRIC in values:
            auroc = float(values[METRIC])
            self.validated = None if isnan(auroc) else auroc

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As validation has fixed it, where a callback has put averages of all else there."""
        fitted_values.write_into(checkpoint["state_dict"], self)
        checkpoint[KEY] = self.validated

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        fitted_values.complete(checkpoint)
        self.validated = checkpoint.get(KEY)

    def fixed_values(self) -> dict[str, float]:
        """By validation, as far as it has."""
        return select_fixed({fit.id: getattr(self, fit.id) for fit in FITS}) if self.fixes_thresholds else {}
