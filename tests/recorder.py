"""Callbacks that write down what each rank saw, and what it learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from datamodules.batch import Batch


class Recorder(Callback):
    def __init__(self, path: str) -> None:
        """
        Args:
            path: Prefix of the files, one per rank.
        """
        self.path = path

    def record(self, trainer: Trainer, kind: str, step: int, batch: Batch) -> None:
        with Path(f"{self.path}.{trainer.global_rank}").open("a") as f:
            for video, numbers, counts in zip(batch.video, batch.numbers.tolist(), batch.counts.tolist(), strict=True):
                f.write(f"{kind} {trainer.current_epoch} {step} {video} {numbers} {counts}\n")

    def on_train_batch_end(
        self, trainer: Trainer, m: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.record(trainer, "train", batch_idx, batch)

    def on_validation_batch_end(
        self, trainer: Trainer, m: LightningModule, outputs: Any, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.record(trainer, "val", batch_idx, batch)


class Weights(Callback):
    def __init__(self, path: str) -> None:
        """
        Args:
            path: Prefix of the files, one per rank.
        """
        self.path = path

    def on_train_end(self, trainer: Trainer, m: LightningModule) -> None:
        torch.save(dict(m.named_parameters()), f"{self.path}.{trainer.global_rank}")
