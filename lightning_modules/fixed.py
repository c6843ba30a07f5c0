"""What validation has fixed, as a checkpoint brings it: a number that decides nothing must not decide."""

from __future__ import annotations

from collections.abc import Mapping
from math import isinf, isnan
from pathlib import Path
from typing import Any

from datamodules.errors import Refused
from lightning_modules.metrics.registry import CALIBRATION, FITS


def check_fixed(state: Mapping[str, Any], path: Path) -> None:
    """Refuses thresholds that no score can reach, and calibrations that are half known or turn scores around.

    Args:
        state: Of a method; not a number is what validation has not fixed, and what is not in it is not checked.
    """
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
            raise Refused(f"{path}: {name} {value:g}: {rule}; validate the run again, or take another checkpoint")
