"""Positions spread evenly over a range."""

from __future__ import annotations

import numpy as np


def space_evenly(length: int, count: int) -> list[int]:
    """``count`` of ``length`` positions from the first to the last, all of them where there are fewer."""
    if count >= length:
        return list(range(length))
    if count == 1:
        return [length // 2]
    return [int(i) for i in np.floor(np.linspace(0, length - 1, count) + 0.5)]
