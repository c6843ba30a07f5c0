"""Giving back what was freed: among arrays that come and go, the heap of glibc otherwise grows with the video."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


@cache
def trimmer() -> Any:
    """Nothing where the C library is another one."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def give_back() -> None:
    if trim := trimmer():
        trim(0)
