"""Scores and losses that are no numbers, refused by the name of the video where they come up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pytorch_lightning.strategies import Strategy
from torch import Tensor

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError


def check_scores(logit: Tensor, mask_logit: Tensor | None, batch: Batch) -> None:
    """
    Args:
        logit: (B,).
        mask_logit: (B, T, 1, H, W), of the first frames if of fewer.
    """
    is_finite = logit.isfinite()[:, None]  # (B, 1), then (B, T)
    if mask_logit is not None:
        is_finite = is_finite & mask_logit.isfinite().flatten(2).all(2)
    if not is_finite.all():
        i, t = (~is_finite).nonzero()[0].tolist()
        what = "a score" if not logit[i].isfinite() else "a mask"
        raise UserError(
            f"{batch.video[i]}, frame {int(batch.numbers[i, t])}: got {what} that is no finite number; the weights or "
            "the crop may have some: look at train/loss, lower the learning rate, or train in higher precision"
        )


class LossCheck:
    """Looks at the losses of many steps at once: to wait for each would stall a GPU."""

    EVERY = 50  # steps

    def __init__(self) -> None:
        self.pending: list[tuple[Tensor, Sequence[str], int]] = []

    def add(self, loss: Tensor, batch: Batch, step: int, strategy: Strategy) -> None:
        self.pending.append((loss.detach(), batch.video, step))
        if len(self.pending) == self.EVERY:
            self.check(strategy)

    def check(self, strategy: Strategy) -> None:
        """On all processes together, since those that go on alone would wait for the others."""
        pending, self.pending = self.pending, []
        if not pending:
            return
        is_finite = torch.stack([loss for loss, *_ in pending]).isfinite().tolist()
        if strategy.reduce_boolean_decision(all(is_finite), all=True):
            return
        advice = "must be finite: lower the learning rate, or train in higher precision"
        if all(is_finite):
            raise UserError(f"train/loss is no finite number in another process; {advice}")
        loss, videos, step = pending[is_finite.index(False)]
        names = ", ".join(dict.fromkeys(videos))
        raise UserError(f"train/loss is {float(loss)} in step {step}, of {names}; {advice}")
