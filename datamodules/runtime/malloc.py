"""Freed memory of glibc: given back, or kept for what comes next."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Any

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4  # of malloc.h


@cache
def find(name: str) -> Any:
    """Nothing where the C library is another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def give_back() -> None:
    """Among arrays that come and go, the heap otherwise grows with the video."""
    if trim := find("malloc_trim"):
        trim(0)


def keep() -> None:
    """Each step of a training asks for the same memory: on a CPU, pages that come anew cost a fifth of its time."""
    is_set = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if not is_set and (set_option := find("mallopt")):
        set_option(MMAP_MAX, 0)
        set_option(TRIM_THRESHOLD, -1)
        set_option(TOP_PAD, 2**28)
