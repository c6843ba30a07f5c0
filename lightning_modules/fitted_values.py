"""What validation has fixed, as a method and its checkpoints keep it: what decides nothing must not decide."""

from __future__ import annotations

from collections.abc import Mapping
from math import isinf, isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.metrics.operating import KEPT
from lightning_modules.metrics.registry import CALIBRATION, COUNTS, FITS, SCORES, STORED


def register(method: nn.Module) -> None:
    """Not a number before validation."""
    for fit in STORED:
        method.register_buffer(fit.id, torch.full(fit.shape, float("nan")))


def store(method: nn.Module, values: Mapping[str, Tensor]) -> None:
    """
    Args:
        values: Values of a validation, by their names in logs.
    """
    for fit in STORED:
        if f"val/{fit.id}" in values:
            method.get_buffer(fit.id).copy_(values[f"val/{fit.id}"])


def write_into(state: dict[str, Tensor], method: nn.Module, is_known: bool = True) -> None:
    for fit in STORED:
        found = method.get_buffer(fit.id)
        state[fit.id] = found.clone() if is_known else torch.full_like(found, float("nan"))


def complete(checkpoint: Mapping[str, Any]) -> None:
    """One of before scores of validation were kept is as one that saw no validation."""
    for name in {"state_dict", "current_model_state"} & checkpoint.keys():  # the other one is that of averaged weights
        for fit in (SCORES, COUNTS):
            checkpoint[name].setdefault(fit.id, torch.full(fit.shape, float("nan")))


def check_fixed(state: Mapping[str, Any], path: Path) -> None:
    """Refuses thresholds that no score can reach, and calibrations that are half known or turn scores around.

    Args:
        state: State of a method; NaN where validation has not fixed a value; absent values are not checked.
    """
    for fit in STORED:
        if fit.id in state and (not isinstance(state[fit.id], Tensor) or state[fit.id].shape != fit.shape):
            raise UserError(f"{path}: {fit.id}: must be a tensor of shape {tuple(fit.shape)}")
    values = {fit.id: float(state[fit.id]) for fit in FITS if fit.id in state}
    for name, value in values.items():
        rule = ""
        if name.endswith("threshold") and not (isnan(value) or 0 <= value <= 1):
            rule = "must be between 0 and 1"
        elif isinf(value):
            rule = "must be finite"
        elif name.endswith("slope") and value <= 0:
            rule = "must be above 0"
        elif name in CALIBRATION and isnan(value) != isnan(
            values.get(next(c for c in CALIBRATION if c != name), value)
        ):
            rule = "slope and bias must both be known, or neither"
        if rule:
            raise UserError(f"{path}: {name} {value:g}: {rule}; validate the run again, or take another checkpoint")
    if {SCORES.id, COUNTS.id} <= state.keys():
        check_scores(state[SCORES.id], state[COUNTS.id], path)


def check_scores(scores: Tensor, counts: Tensor, path: Path) -> None:
    """Refuses scores of validation that are no sorted probabilities, or not as many as there were videos."""
    for row, n in zip(scores, counts.nan_to_num(0.0).tolist(), strict=True):
        kept = row[: min(int(n), KEPT)]
        is_kept = bool(
            ((kept >= 0) & (kept <= 1)).all() and (kept.diff() >= 0).all() and row[len(kept) :].isnan().all()
        )
        if n < 0 or n % 1 or not is_kept:
            raise UserError(
                f"{path}: {COUNTS.id} {n:g} with the {SCORES.id} that it has: must be a whole number of videos whose "
                "scores are sorted and between 0 and 1; validate the run again, or take another checkpoint"
            )
