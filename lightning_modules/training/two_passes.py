"""A training that passes each batch twice: the second gradient, taken elsewhere, is that of the step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch.optim import Optimizer

from datamodules.runtime.errors import UserError
from lightning_modules.training.precision import may_overflow
from lightning_modules.training.sam import check_strategy, perturb, restore


class PassesTwice(LightningModule):
    """Sharpness-aware minimization; a method that passes twice for another reason overrides ``perturbed_weights``."""

    rho: float  # how far away the second gradient is taken; 0 where a batch is passed once
    is_second_pass = False

    def on_fit_start(self) -> None:
        if self.rho and self.trainer.accumulate_grad_batches > 1:
            raise UserError(f"accumulate_grad_batches {self.trainer.accumulate_grad_batches}: must be 1 with rho")
        if self.passes_twice:
            check_strategy(self.trainer.strategy)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        if self.passes_twice and optimizer_closure is not None:
            optimizer_closure()  # gradients here, the same on every rank
            optimizer_closure = functools.partial(self.second_pass, optimizer_closure)
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    @property
    def passes_twice(self) -> bool:
        return self.rho > 0

    @contextmanager
    def perturbed_weights(self) -> Iterator[None]:
        """The parameters are where the second pass is wanted; afterwards they are home, with the gradient to take."""
        weights = perturb(self.parameters(), self.rho, may_overflow(self.trainer.precision_plugin))
        try:
            yield
        finally:
            restore(weights)

    def second_pass(self, closure: Callable[[], Any]) -> Any:
        with self.perturbed_weights():
            self.is_second_pass = True
            try:
                return closure()
            finally:
                self.is_second_pass = False
