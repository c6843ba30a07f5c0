"""Scores and losses that are no numbers, refused by the name of the video where they come up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.errors import Refused


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
        raise Refused(
            f"{batch.video[i]}, frame {int(batch.numbers[i, t])}: got {what} that is no finite number; the weights or "
            "the crop may have some: look at train/loss, lower the learning rate, or train in higher precision"
        )


class LossCheck:
    """Looks at a loss when the next one is there: to wait for it at once would stall a GPU."""

    def __init__(self) -> None:
        self.pending: tuple[Tensor, Sequence[str], int] | None = None

    def add(self, loss: Tensor, batch: Batch, step: int) -> None:
        self.check()
        self.pending = loss.detach(), batch.video, step

    def check(self) -> None:
        if self.pending is None:
            return
        (loss, videos, step), self.pending = self.pending, None
        if not torch.isfinite(loss):
            names = ", ".join(dict.fromkeys(videos))
            raise Refused(
                f"train/loss is {float(loss)} in step {step}, of {names}; must be finite: lower the learning rate, or "
                "train in higher precision"
            )
