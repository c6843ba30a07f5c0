"""How fast training runs, and how much of it is waiting for data."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from datamodules.batch import Batch
from datamodules.face_data import FaceData


class Throughput(Callback):
    """Logs train/samples_per_s of all ranks, and train/waiting: the share of time without a batch to work on."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.samples, self.waited = 0, 0.0
        self.began = self.ended = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.reset()  # a run that goes on may end an epoch that it did not start

    def on_train_batch_start(self, trainer: Trainer, m: LightningModule, batch: Batch, batch_idx: int) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if self.began and isinstance(data, FaceData):
            self.waited += max(0.0, data.arrived - self.ended)

    def on_train_batch_end(
        self, trainer: Trainer, m: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.ended = time.perf_counter()
        if self.began:
            self.samples += len(batch)
        else:
            self.began = self.ended  # the first step pays for the workers' start

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds = self.ended - self.began
        if seconds > 0:
            pl_module.log("train/samples_per_s", self.samples * trainer.world_size / seconds)
            pl_module.log("train/waiting", self.waited / seconds)
