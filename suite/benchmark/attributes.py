"""A table of what is known of people, or of videos."""

from __future__ import annotations

from pathlib import Path

from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_table

WHO = ("video", "identity")  # what a row is about: a whole key, or all videos that were made from somebody's


def read_attributes(path: Path) -> tuple[str, dict[str, dict[str, str]]]:
    """What rows are about, and each one's attributes."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    columns, rows = read_table(path)
    who = next((name for name in WHO if name in columns), None)
    if who is None or len(columns) < 2:
        raise UserError(f"{path}: must have a column video or identity, and attributes")
    return who, {row[who]: {k: v for k, v in row.items() if k != who and v} for row in rows}
