"""Names of files as text that can be printed and stored, whatever bytes they are made of."""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from pathlib import Path

LONGEST = 244  # bytes; a file system takes 255, of which a dot before and .json.part behind it are 11
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # controls, ends of lines, directions of text


def format_name(path: Path | str) -> str:
    r"""The name, where bytes that are not UTF-8 are written as \xff, and what a terminal would obey as \x1b."""
    return OBEYED.sub(lambda found: ascii(found[0])[1:-1], decode_name(path))


def decode_name(path: Path | str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_utf8(path: Path | str) -> bool:
    """Whether tables, JSON and pages can hold the name as it is."""
    return decode_name(path) == str(path)


def limit_name(name: str) -> str:
    """The name of a file or folder; one that is too long as its beginning and a digest of all of it."""
    content = os.fsencode(name)
    if len(content) <= LONGEST:
        return name
    digest = blake2b(content, digest_size=12).hexdigest()
    return content[: LONGEST - len(digest) - 1].decode("utf-8", "ignore") + f"-{digest}"
