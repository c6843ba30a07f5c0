"""Learning rates over epochs, where torch has none that a config can name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pytorch_lightning.cli import ReduceLROnPlateau
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from datamodules.runtime.errors import UserError


class RiseAndFall(LRScheduler):
    """In a straight line from lr to a multiple of it, then in another to 0."""

    def __init__(self, optimizer: Optimizer, epochs: int, warmup: float = 0.25, peak_factor: float = 4.0) -> None:
        """
        Args:
            epochs: At which 0 is reached.
            warmup: Part of them after which the rate falls.
            peak_factor: The highest rate over the first.
        """
        if not 0 <= warmup < 1:
            raise UserError(f"warmup {warmup}: must be at least 0 and below 1")
        self.epochs, self.top, self.peak_factor = epochs, warmup * epochs, peak_factor
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        if epoch < self.top:
            return 1 + (self.peak_factor - 1) * epoch / self.top
        return self.peak_factor * max(0, self.epochs - epoch) / (self.epochs - self.top)

    def get_lr(self) -> list[float | Tensor]:
        return [lr * self.factor(self.last_epoch) for lr in self.base_lrs]


class WarmUpAndCosine(LRScheduler):
    """In a straight line up to lr, then down to 0 along half a cosine."""

    def __init__(self, optimizer: Optimizer, epochs: int, warmup: float = 0.1) -> None:
        """
        Args:
            epochs: At which 0 is reached.
            warmup: Part of them until lr is reached.
        """
        if not 0 <= warmup < 1:
            raise UserError(f"warmup {warmup}: must be at least 0 and below 1")
        self.epochs, self.top = epochs, round(warmup * epochs)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        if epoch < self.top:
            return (epoch + 1) / self.top
        done = min(1.0, (epoch - self.top) / max(1, self.epochs - self.top))
        return (1 + math.cos(math.pi * done)) / 2

    def get_lr(self) -> list[float | Tensor]:
        return [lr * self.factor(self.last_epoch) for lr in self.base_lrs]


class TwoStages(LRScheduler):
    """Half a cosine down to a hundredth of lr, then another from a part of lr down to 0."""

    def __init__(
        self, optimizer: Optimizer, first_stage_epochs: int, second_stage_epochs: int, restart_factor: float = 0.1
    ) -> None:
        """
        Args:
            first_stage_epochs: Epochs of the first stage.
            second_stage_epochs: Length of the second stage.
            restart_factor: Share of lr with which the second stage begins.
        """
        self.first_stage_epochs, self.second_stage_epochs = first_stage_epochs, second_stage_epochs
        self.restart_factor = restart_factor
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        if epoch < self.first_stage_epochs:
            return 0.01 + 0.99 * (1 + math.cos(math.pi * epoch / self.first_stage_epochs)) / 2
        done = min(1.0, (epoch - self.first_stage_epochs) / max(1, self.second_stage_epochs))
        return self.restart_factor * (1 + math.cos(math.pi * done)) / 2

    def get_lr(self) -> list[float | Tensor]:
        return [lr * self.factor(self.last_epoch) for lr in self.base_lrs]


def step_plateaus(schedulers: Iterable[object], metrics: Mapping[str, Tensor]) -> None:
    """A step of those that watch a metric, by its value of this epoch."""
    for scheduler in schedulers:
        if isinstance(scheduler, ReduceLROnPlateau):
            if scheduler.monitor not in metrics:
                logged = ", ".join(sorted(metrics)) or "nothing"
                raise UserError(f"scheduler: monitor {scheduler.monitor}: not logged in this epoch, which has {logged}")
            scheduler.step(metrics[scheduler.monitor])
