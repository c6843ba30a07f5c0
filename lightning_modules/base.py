"""What a method is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from hashlib import blake2b

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.classification import BinaryAUROC, BinaryJaccardIndex

from datamodules.batch import Batch
from lightning_modules.metrics import VideoAUROC


@dataclass(kw_only=True)
class Prediction:
    """What ``forward`` returns. A method with more heads subclasses it."""

    logit: Tensor  # (B,), above 0 means fake
    mask_logit: Tensor | None = None  # (B, T, 1, H, W) from methods that localize


def video_id(name: str) -> int:
    """A number for a name that is the same in every process; ``hash`` is not."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big")


class Method(LightningModule, ABC):
    """A detector: maps clips to a Prediction and names the losses that train it.

    A subclass writes ``forward`` and ``losses``; steps, logging and metrics are here.
    """

    def __init__(
        self,
        # A lambda: jsonargparse reads its source, so that lr shows in the config and can be overridden.
        optimizer: OptimizerCallable = lambda params: torch.optim.AdamW(params, lr=1e-4),
        scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        """
        Args:
            optimizer: Builds the optimizer from the parameters.
            scheduler: Builds the schedule from the optimizer; stepped once per epoch.
        """
        super().__init__()
        self.save_hyperparameters(ignore=["optimizer", "scheduler"])
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.frame_auroc = BinaryAUROC()
        self.video_auroc = VideoAUROC()
        self.mask_iou = BinaryJaccardIndex()

    @abstractmethod
    def forward(self, frames: Tensor) -> Prediction: ...

    @abstractmethod
    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]: ...

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        losses = self.losses(self(batch.frames), batch)
        total = torch.stack(list(losses.values())).sum()
        self.log_dict({f"train/{name}": loss for name, loss in losses.items()}, batch_size=len(batch))
        self.log("train/loss", total, batch_size=len(batch), prog_bar=True)
        return total

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluate("test", batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        prediction: Prediction = self(batch.frames)
        return prediction

    def evaluate(self, split: str, batch: Batch) -> None:
        prediction: Prediction = self(batch.frames)
        counts = batch.counts
        score, label = prediction.logit.sigmoid()[counts], batch.label[counts]
        ids = torch.tensor(list(map(video_id, batch.video)), device=self.device)[counts]
        self.frame_auroc.update(score, label)
        self.video_auroc.update(score, label, ids)
        metrics = {f"{split}/frame_auroc": self.frame_auroc, f"{split}/video_auroc": self.video_auroc}
        if prediction.mask_logit is not None:  # a property of the method, so every rank logs the same keys
            has = batch.has_mask & counts & (batch.label == 1)
            self.mask_iou.update(prediction.mask_logit[has].sigmoid(), batch.mask[has].round().int())
            metrics[f"{split}/mask_iou"] = self.mask_iou
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(batch))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self.scheduler(optimizer)}
