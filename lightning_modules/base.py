"""What a method is."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from pytorch_lightning.utilities.types import LRSchedulerTypeUnion, OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import MetricCollection

from datamodules.batch import Batch, names_forgery, video_id
from datamodules.face_data import FaceData
from datamodules.faces.align import Cropper
from datamodules.synthesis.base import warn_of_margin
from datamodules.synthesis.framing import WHOLE, Framing
from lightning_modules import fitted_values
from lightning_modules.boundary import on_boundary
from lightning_modules.familiarity import Familiarity
from lightning_modules.finite import LossCheck, check_scores
from lightning_modules.metrics.collections import pixel_metrics, score_metrics
from lightning_modules.metrics.functional import Pooled
from lightning_modules.metrics.pixel import histogram
from lightning_modules.metrics.registry import MapBy, MapOf
from lightning_modules.released import Protocol, check_data
from lightning_modules.remembered_validation import RemembersValidation
from lightning_modules.returned_values import check_losses, check_mask_logit, check_prediction
from lightning_modules.training.precision import may_overflow
from lightning_modules.training.schedules import step_plateaus
from lightning_modules.training.stepwise import SCALE, WarmUpAndRestarts
from lightning_modules.training.two_passes import PassesTwice
from lightning_modules.trunks.last_layer import no_autocast


@dataclass(kw_only=True)
class Prediction:
    """What ``forward`` returns. A method with more heads subclasses it."""

    logit: Tensor  # (B,), above 0 means fake
    mask_logit: Tensor | None = None  # (B, T, 1, H, W) from methods that localize; of the first frames, if of fewer
    motion: Tensor | None = None  # (B, T', 2 or more, H, W) right and down, from methods that see it
    channels: Tensor | None = None  # (B, K) means of the last features, from methods that can be asked what they use
    recovered: Tensor | None = None  # (B, T, 3, H, W) what a method makes of a face from its parts


@dataclass(kw_only=True)
class Outcome:
    """What a step of evaluation hands to the callbacks."""

    prediction: Prediction
    score: Tensor  # (B,) probability of a forgery
    forged: Tensor | None = None  # (B, T, BINS) histograms of the map's scores where it should find something
    other: Tensor | None = None  # (B, T, BINS) of all other pixels


class Method(RemembersValidation, PassesTwice, ABC):
    """A detector: maps clips to a Prediction and names the losses that train it.

    A subclass writes ``forward`` and ``losses``; steps, logging and metrics are here.
    """

    monitor = ("val/video_auroc", "max")  # what the best checkpoint is chosen by
    needs_landmarks = False
    framing: Framing = WHOLE  # what of a crop is shown; a method with another one applies it to what is not framed
    map_of: MapOf = "region"  # what its map shows, and is measured against
    map_by: MapBy = "head"  # what makes it
    exports_map = True  # whether other engines can make it, too
    first_stage_epochs: int | None = None  # after which masks are asked for, where the method says when
    protocol: Protocol | None = None  # what the authors of its weights showed them, of released ones
    is_trained = False  # whether its arguments brought all its weights, so that no checkpoint is needed
    familiarity: Familiarity | None = None  # what its checkpoint knows of the faces that it was trained on
    video_threshold: Tensor
    video_slope: Tensor
    video_bias: Tensor
    video_scores: Tensor
    video_counts: Tensor

    def __init__(
        self,
        # A lambda: jsonargparse reads its source, so that lr shows in the config and can be overridden.
        optimizer: OptimizerCallable = lambda params: torch.optim.AdamW(params, lr=1e-4),
        scheduler: LRSchedulerCallable | None = None,
        rho: float = 0.0,
        score_pooling: Pooled = "score",
    ) -> None:
        """
        Args:
            optimizer: Builds the optimizer from the parameters.
            scheduler: Builds the schedule from the optimizer; stepped once per epoch.
            rho: Radius of sharpness-aware minimization, which passes each batch twice; 0 is without.
            score_pooling: How frame scores are pooled into a video score: mean of scores, of logits, or of the scores
                above a half where there are any (suspects).
        """
        super().__init__()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.rho, self.is_second_pass, self.score_pooling = rho, False, score_pooling
        self.loss_check = LossCheck()
        fitted_values.register(self)
        self.scores = nn.ModuleDict(
            {"val": score_metrics(None, score_pooling), "test": score_metrics(self.fixed_values, score_pooling)}
        )
        map_of = self.map_of
        self.pixels = nn.ModuleDict(
            {"val": pixel_metrics(None, map_of), "test": pixel_metrics(self.fixed_values, map_of)}
        )

    @abstractmethod
    def forward(self, frames: Tensor) -> Prediction: ...

    def setup(self, stage: str) -> None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.protocol is not None and stage != "fit":
            check_data(self.protocol, self.framing, data, "released weights")
        if isinstance(data, FaceData) and data.synthesis is not None:
            data.synthesis.framing = self.framing
            if stage == "fit":
                for one in data.group.sets:
                    warn_of_margin(one.prepared, Cropper.from_contract(one.contract))

    def fold(self) -> dict[str, Any]:
        """Once training is over: what was trained beside weights becomes part of them; arguments that change by it."""
        return {}

    def early_layers(self) -> list[nn.Module]:
        """What familiar faces are known by, see trunks/early_layers.py; a method with none cannot tell."""
        return []

    def predict(self, batch: Batch) -> Prediction:
        """For a method that sees more than frames to override."""
        prediction: Prediction = self(batch.frames)
        return prediction

    @staticmethod
    def label_loss(logit: Tensor, batch: Batch, target: Tensor | None = None) -> Tensor:
        """Cross-entropy of the rows that count; the others only bring their masks.

        Args:
            target: Softer labels than those of the batch.
        """
        wanted = batch.label.float() if target is None else target
        losses = F.binary_cross_entropy_with_logits(logit.float(), wanted, reduction="none")
        return (losses * batch.is_counted).sum() / batch.is_counted.sum()  # to select rows would wait for a GPU

    @abstractmethod
    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]: ...

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        prediction = self.predict(batch)
        check_prediction(prediction, Prediction, self, batch)
        losses = self.losses(prediction, batch)
        check_losses(losses, self)
        total = torch.stack(list(losses.values())).sum()
        if self.is_second_pass:  # what is logged is the loss where the parameters are
            return total
        self.log_dict({f"train/{name}": loss for name, loss in losses.items()}, batch_size=len(batch))
        self.log("train/loss", total, batch_size=len(batch), prog_bar=True)
        return total

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if may_overflow(self.trainer.precision_plugin):
            return  # the scaler passes over such steps
        self.loss_check.add(outputs["loss"], batch, self.global_step, self.trainer.strategy)

    def on_validation_start(self) -> None:
        self.loss_check.check(self.trainer.strategy)  # or scores would be blamed for what a loss has done

    def on_train_epoch_end(self) -> None:
        self.loss_check.check(self.trainer.strategy)
        # before the epoch is saved; Lightning's own step of them comes after that
        step_plateaus([config.scheduler for config in self.trainer.lr_scheduler_configs], self.trainer.callback_metrics)

    def draws(self) -> torch.Generator:
        """For draws of a step of training: of (seed, epoch, step, rank) alone, the same in both passes of a batch."""
        seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        trainer = self._trainer
        step = trainer.fit_loop.epoch_loop.batch_progress.current.ready if trainer is not None else 0
        address = np.random.SeedSequence([seed, self.current_epoch, step, self.global_rank, 2])
        return torch.Generator().manual_seed(int(address.generate_state(1, np.uint64)[0]))

    def validation_step(self, batch: Batch, batch_idx: int) -> Outcome:  # type: ignore[override]
        return self.evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> Outcome:  # type: ignore[override]
        return self.evaluate("test", batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> Outcome:
        outcome = self.outcome(batch)
        outcome.prediction = Prediction(logit=outcome.prediction.logit)  # Lightning keeps what is returned
        return outcome

    def outcome(self, batch: Batch) -> Outcome:
        prediction = self.predict(batch)
        check_prediction(prediction, Prediction, self, batch)
        if prediction.mask_logit is not None:
            check_mask_logit(prediction.mask_logit, self, batch)
        check_scores(prediction.logit, prediction.mask_logit, batch)
        outcome = Outcome(prediction=prediction, score=prediction.logit.float().sigmoid())
        if prediction.mask_logit is not None:
            b, t = prediction.mask_logit.shape[:2]
            logit = prediction.mask_logit.flatten(0, 1).flatten(1)  # (B T, P)
            forged = self.map_target(batch)[:, :t].flatten(0, 1).flatten(1)
            known = batch.has_mask.repeat_interleave(t)[:, None].expand_as(forged)
            outcome.forged = histogram(logit, forged & known).unflatten(0, (b, t))
            outcome.other = histogram(logit, ~forged & known).unflatten(0, (b, t))
        return outcome

    def map_target(self, batch: Batch) -> Tensor:
        """(B, T, 1, H, W) bool: what ``map_of`` says, of the true masks."""
        if self.map_of == "boundary":
            with no_autocast(batch.mask):  # the truth is the same in every precision
                return on_boundary(batch.mask.flatten(0, 2), batch.boundary).view_as(batch.mask)
        return batch.mask > 0.5

    def evaluate(self, split: str, batch: Batch) -> Outcome:
        outcome = self.outcome(batch)
        is_counted = batch.is_counted
        self.create_metrics(self.scores, split).update(
            *(column[is_counted] for column in self.score_columns(outcome, batch))
        )
        if outcome.forged is not None and outcome.other is not None:
            fake, real = is_counted & (batch.label == 1), is_counted & (batch.label == 0)
            self.create_metrics(self.pixels, split).update(
                outcome.forged[fake].flatten(0, 1), outcome.other[fake].flatten(0, 1), outcome.other[real].flatten(0, 1)
            )
        return outcome

    @staticmethod
    def score_columns(outcome: Outcome, batch: Batch) -> tuple[Tensor, ...]:
        """(B,) score, label, number of the video and of the frame, and the label of the video."""
        ids = torch.tensor(list(map(video_id, batch.video)), device=batch.label.device)
        named = torch.tensor(list(map(names_forgery, batch.video)), device=batch.label.device)
        return outcome.score, batch.label, ids, batch.numbers[:, 0], batch.label | named

    @staticmethod
    def create_metrics(by_split: nn.ModuleDict, split: str) -> MetricCollection:
        metrics = by_split[split]
        assert isinstance(metrics, MetricCollection)
        return metrics

    def on_validation_epoch_end(self) -> None:
        values = self.conclude("val")
        if not self.trainer.sanity_checking:
            self.remember_validation(values)

    def lr_scheduler_step(self, scheduler: LRSchedulerTypeUnion, metric: Any | None) -> None:
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_test_epoch_end(self) -> None:
        self.conclude("test")

    def conclude(self, split: str) -> dict[str, Tensor]:
        """Computes over all ranks, logs and starts anew."""
        values: dict[str, Tensor] = {}
        for by_split in (self.scores, self.pixels):
            metrics = self.create_metrics(by_split, split)
            if next(iter(metrics.values())).update_called:
                values |= {f"{split}/{name}": value for name, value in metrics.compute().items()}
                metrics.reset()
        for name, value in values.items():
            if value.ndim == 0:
                self.log(name, value, prog_bar=name == self.monitor[0])
        return values

    def training_parameters(self) -> list[Any]:
        """Parameters, or groups of them."""
        return [p for p in self.parameters() if p.requires_grad]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(self.training_parameters())
        for group in optimizer.param_groups:
            group["lr"] *= group.get(SCALE, 1.0)
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer)
        if isinstance(scheduler, WarmUpAndRestarts):
            self.trainer.fit_loop.setup_data()  # which counts the batches
            steps = self.trainer.num_training_batches / self.trainer.accumulate_grad_batches
            scheduler.steps_per_epoch = max(1, math.ceil(steps))
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
        if isinstance(scheduler, ReduceLROnPlateau):
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": scheduler.monitor}}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}
