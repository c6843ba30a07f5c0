"""What a training says where somebody reads along: a line at its start, and one for each epoch."""

from __future__ import annotations

import sys
import time

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.rank_zero import rank_zero_info

from datamodules.face_data import FaceData
from lightning_modules.base import Method


class Console(Callback):
    """Prints them; the lines of epochs only where there is no terminal, which has a progress bar."""

    began, is_validated = 0.0, False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, FaceData) and stage != "validate":
            for one in data.group.checked_sets:
                for rule in filter(None, (one.audio_rule, one.split_rule)):
                    rank_zero_info(rule)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        count = sum(p.numel() for p in pl_module.parameters())
        trained = sum(p.numel() for p in pl_module.parameters() if p.requires_grad)
        of = "" if trained == count else f", {trained:,} of them trained"
        rank_zero_info(f"{type(pl_module).__name__}: {count:,} parameters{of}; run {trainer.default_root_dir}")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began, self.is_validated = time.perf_counter(), False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if sys.stdout.isatty():
            return
        assert isinstance(pl_module, Method)
        names = ["train/loss", *([pl_module.monitor[0]] if self.is_validated else [])]
        found = {name: trainer.callback_metrics[name] for name in names if name in trainer.callback_metrics}
        values = "".join(f", {name} {float(value):.4g}" for name, value in found.items())
        seconds = time.perf_counter() - self.began
        rank_zero_info(f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}{values}, {seconds:.0f} s")
