"""What validation has fixed, as a checkpoint brings it: a number that decides nothing must not decide."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from datamodules.errors import Refused
from lightning_modules.base import FIXED


def check_fixed(state: Mapping[str, Any], path: Path) -> None:
    """Refuses thresholds that are none, and calibrations that are no number or turn scores around.

    Args:
        state: Of a method; what is not in it is not checked.
    """
    for name, unset in FIXED.items():
        if name not in state:
            continue
        value = float(state[name])
        rule = ""
        if name.endswith("threshold"):
            rule = "" if 0 <= value <= 1 else "must be between 0 and 1"
        elif not isfinite(value):
            rule = "must be finite"
        elif name.endswith(("temperature", "slope")) and value <= 0 and value != unset:
            rule = "must be above 0"
        if rule:
            raise Refused(f"{path}: {name} {value:g}: {rule}; validate the run again, or take another checkpoint")
