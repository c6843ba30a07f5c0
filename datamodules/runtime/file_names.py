"""Names of files as text that can be printed and stored, whatever bytes they are made of."""

from __future__ import annotations

import os
from pathlib import Path


def format_name(path: Path | str) -> str:
    r"""The name, where bytes that are not UTF-8 are written as \xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_utf8(path: Path | str) -> bool:
    """Whether tables, JSON and pages can hold the name as it is."""
    return format_name(path) == str(path)
