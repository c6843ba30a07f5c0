"""The checkpoint of the best epoch, by the metric of validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Of a method with two stages the best epoch of the second, once it has begun.

    By labels alone an epoch without masks may well look better: it would be tested, and what masks teach would not.
    """

    is_last_stage = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        first = getattr(pl_module, "first_stage_epochs", None)
        if first is not None and trainer.current_epoch >= first and not (self.is_last_stage or trainer.sanity_checking):
            self.is_last_stage = True
            self.best_k_models, self.kth_best_model_path = {}, ""
            self.best_model_score, self.current_score = None, None
        super().on_validation_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"is_last_stage": self.is_last_stage}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Also of a run that was moved: without its score any later epoch would replace the best one."""
        best = Path(self.dirpath or "", f"{self.filename}{self.FILE_EXTENSION}")
        if self.dirpath and best.is_file() and state_dict.get("best_model_path"):
            scores = {str(best): score for score in state_dict["best_k_models"].values()}
            here = {"dirpath": self.dirpath, "best_k_models": scores}
            state_dict = state_dict | here | dict.fromkeys(("best_model_path", "kth_best_model_path"), str(best))
        super().load_state_dict(state_dict)
        self.is_last_stage = state_dict.get("is_last_stage", False)
