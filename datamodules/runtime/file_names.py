"""Names of files as text that can be printed and stored, whatever bytes they are made of."""

from __future__ import annotations

import os
import re
from pathlib import Path

OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # controls, ends of lines, directions of text


def format_name(path: Path | str) -> str:
    r"""The name, where bytes that are not UTF-8 are written as \xff, and what a terminal would obey as \x1b."""
    return OBEYED.sub(lambda found: ascii(found[0])[1:-1], decode_name(path))


def decode_name(path: Path | str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_utf8(path: Path | str) -> bool:
    """Whether tables, JSON and pages can hold the name as it is."""
    return decode_name(path) == str(path)
