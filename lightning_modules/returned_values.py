"""What a method returns, refused by the name of its class where others would take it for something else."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError


def check_prediction(prediction: Any, declared: type, method: object, batch: Batch) -> None:
    """
    Args:
        declared: Type that it must be of.
    """
    name = type(method).__name__
    if not isinstance(prediction, declared):
        rule = f"must return a {declared.__name__}"
        raise UserError(f"{name}.forward: returns {type(prediction).__name__}, {rule}")
    logit = prediction.logit  # type: ignore[attr-defined]
    if logit.shape != batch.label.shape:
        rule = f"must be (B,), one for each clip: {tuple(batch.label.shape)}"
        raise UserError(f"{name}.forward: logit is {tuple(logit.shape)}, {rule}")


def check_mask_logit(mask_logit: Tensor, method: object, batch: Batch) -> None:
    frames, (b, t, _, h, w) = mask_logit.shape[1:2].numel(), batch.mask.shape
    if mask_logit.shape != (b, frames, 1, h, w) or frames > t:
        rule = f"must be (B, T, 1, H, W), as the masks of the data: {(b, t, 1, h, w)}"
        raise UserError(f"{type(method).__name__}.forward: mask_logit is {tuple(mask_logit.shape)}, {rule}")


def check_losses(losses: Any, method: object) -> None:
    name = f"{type(method).__name__}.losses"
    if not isinstance(losses, dict) or not losses:
        raise UserError(f"{name}: returns {type(losses).__name__}, must return a dict of losses, one or more")
    for key, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim:
            found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise UserError(f"{name}: {key!r} is {found}, must be a tensor of one number, the mean of the batch")
