"""What a method remembers of its last validation, apart from what is read of it without Lightning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isnan
from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules import fitted_values
from lightning_modules.metrics.registry import FITS, select_fixed
from lightning_modules.own_validation import KEY, METRIC, OwnValidation


class RemembersValidation(LightningModule):
    """What a checkpoint keeps of validation, beside the weights."""

    fixes_thresholds = True  # whether validation says where the decision lies
    validated: float | None = None  # video AUROC of the last validation that trained weights have had
    validated_step: int | None = None  # of training, when that was

    @property
    def own_validation(self) -> OwnValidation:
        return OwnValidation(auroc=self.validated, is_needed=self.fixes_thresholds)

    @property
    def is_outdated(self) -> bool:
        """Whether weights were trained since their last validation, which then says nothing of them."""
        return self.validated_step is not None and self.validated_step != self.trainer.global_step

    def remember_validation(self, values: dict[str, Tensor]) -> None:
        fitted_values.store(self, values)
        self.validated_step = self.trainer.global_step
        if METRIC in values:
            auroc = float(values[METRIC])
            self.validated = None if isnan(auroc) else auroc

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Refuses one of another network in a line: torch lists every name."""
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            names = [a or b for a, b in re.findall(r'"([\w.]+)"|size mismatch for ([\w.]+)', str(error))]
            what = f"checkpoint: is of another method, or of other settings, than this {type(self).__name__}"
            raise UserError(f"{what} (see {', '.join(names[:3])}); give the configuration of its run") from error

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As validation has fixed it, where a callback has put averages of all else there."""
        fitted_values.write_into(checkpoint["state_dict"], self, is_known=not self.is_outdated)
        checkpoint[KEY] = None if self.is_outdated else self.validated

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        fitted_values.complete(checkpoint)
        self.validated = checkpoint.get(KEY)
        self.validated_step = checkpoint.get("global_step")

    def fixed_values(self) -> dict[str, float]:
        """By validation, as far as it has."""
        return select_fixed({fit.id: getattr(self, fit.id) for fit in FITS}) if self.fixes_thresholds else {}
