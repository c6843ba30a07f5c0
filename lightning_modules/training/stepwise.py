"""Learning rates that change with every step, where a schedule of whole epochs would miss a short warm-up."""

from __future__ import annotations

import math

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from datamodules.runtime.errors import UserError

SCALE = "lr_scale"  # of a group of parameters, over the learning rate of the optimizer


class WarmUpAndRestarts(LRScheduler):
    """In a straight line up to lr, then down along half a cosine, which begins again at lr after each period."""

    steps_per_epoch = 1  # set by the method, once it is known

    def __init__(
        self, optimizer: Optimizer, warmup: float, period: float, start: float = 0.0, lowest: float = 0.0
    ) -> None:
        """
        Args:
            warmup: Epochs until lr is reached.
            period: Epochs of a cosine.
            start: Learning rate of the first step.
            lowest: Learning rate that a cosine falls to.
        """
        if not (warmup >= 0 and period > 0):
            raise UserError(f"warmup {warmup:g}, period {period:g}: must be at least 0, and above 0")
        self.warmup, self.period, self.start, self.lowest = warmup, period, start, lowest
        super().__init__(optimizer)

    def place(self, top: float, scale: float) -> float:
        """
        Args:
            top: Highest learning rate.
            scale: Of the parameters, over that of the optimizer.
        """
        epoch = self.last_epoch / self.steps_per_epoch
        if epoch < self.warmup:
            return self.start * scale + (top - self.start * scale) * epoch / self.warmup
        done = (epoch - self.warmup) % self.period / self.period
        lowest = self.lowest * scale
        return lowest + (top - lowest) * (1 + math.cos(math.pi * done)) / 2

    def get_lr(self) -> list[float | Tensor]:
        groups = zip(self.base_lrs, self.optimizer.param_groups, strict=True)
        return [self.place(float(top), float(group.get(SCALE, 1.0))) for top, group in groups]
