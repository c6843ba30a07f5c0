"""Metrics of each set by itself, where there are several."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torchmetrics import MetricCollection

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from lightning_modules.base import Method, Outcome
from lightning_modules.metrics.collections import score_metrics
from lightning_modules.metrics.registry import FITS


class MetricsBySet(Callback):
    """Logs val/SET/video_auroc and all others of scores; what validation would fix on a set alone is kept, not used."""

    def __init__(self) -> None:
        self.metrics: dict[str, MetricCollection] = {}

    def start(self, trainer: Trainer, module: LightningModule, split: str) -> None:
        assert isinstance(module, Method)
        data = trainer.datamodule  # type: ignore[attr-defined]
        self.metrics = {}
        if isinstance(data, FaceData) and len(data.group) > 1:
            fixed = None if split == "val" else module.fixed_values
            for one in data.group.select_having(split, data.sees_only_real(split)):
                self.metrics[one.title] = score_metrics(fixed, module.score_pooling).to(module.device)

    def update(self, trainer: Trainer, outcome: Outcome, batch: Batch) -> None:
        if not self.metrics:
            return
        titles = trainer.datamodule.group.titles(batch.video)  # type: ignore[attr-defined]
        columns = Method.score_columns(outcome, batch)
        for name, metrics in self.metrics.items():
            # without a row, too: a rank that has none of a set would not take part in what all compute together
            mine = batch.is_counted & torch.tensor([title == name for title in titles], device=batch.is_counted.device)
            metrics.update(*(column[mine] for column in columns))

    def conclude(self, trainer: Trainer, module: LightningModule, split: str) -> None:
        fixed: dict[str, dict[str, float]] = {}
        for name, metrics in self.metrics.items():
            numbers = {id: value for id, value in metrics.compute().items() if not value.ndim}  # no kept scores
            values = {id: value for id, value in numbers.items() if not value.isnan()}
            module.log_dict({f"{split}/{name}/{id}": value for id, value in values.items()})
            fixed[name] = {fit.id: float(values[fit.id]) for fit in FITS if fit.id in values}
        if self.metrics and split == "val" and not trainer.sanity_checking:
            trainer.datamodule.fixed_by_set = fixed  # type: ignore[attr-defined]

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start(trainer, pl_module, "val")

    def on_validation_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: LightningModule, outputs: Outcome, batch: Batch, *_: Any
    ) -> None:
        self.update(trainer, outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.conclude(trainer, pl_module, "val")

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start(trainer, pl_module, "test")

    def on_test_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: LightningModule, outputs: Outcome, batch: Batch, *_: Any
    ) -> None:
        self.update(trainer, outputs, batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.conclude(trainer, pl_module, "test")
