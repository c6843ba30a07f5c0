"""Weights that are judged: an average over the latest steps."""

from __future__ import annotations

from functools import partial
from typing import Any

from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from datamodules.runtime.errors import UserError


class EMA(WeightAveraging):
    """Forgets the start sooner than Lightning's EMAWeightAveraging.

    That one keeps a share of ``decay ** steps`` of what a batch norm began with, a variance of 1: a hundredth of it is
    more than the whole variance of some activations.
    """

    def __init__(self, decay: float = 0.999) -> None:
        """
        Args:
            decay: Share of the average that a step leaves, once there were enough steps.
        """
        if not 0 <= decay < 1:
            raise UserError(f"decay {decay}: must be at least 0 and below 1")
        average: dict[str, Any] = {"avg_fn": partial(mix_weights, decay)}
        super().__init__(**average)


def mix_weights(decay: float, average: Tensor, current: Tensor, steps: Tensor) -> Tensor:
    if not current.is_floating_point():
        return current
    share = 1 - ((1 + steps) / (10 + steps)).clamp(max=decay)  # stays on its device: nothing waits for it
    return average.lerp(current, share.to(average.dtype))
