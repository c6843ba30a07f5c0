"""A folder that a verb fills is its own: it is never filled among the files of somebody else."""

from __future__ import annotations

from pathlib import Path

from datamodules.runtime.atomic_files import part_of
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import NAME as LOCK

OF_A_SWEEP = ("asked.json", "settings.yaml")  # and a log: what it writes before the verb begins


def check_own(folder: Path, stamp: str, verb: str) -> None:
    """Refuses a folder that holds something, but not what the verb writes first.

    Args:
        stamp: Name of the file that the verb writes first.
    """
    if (folder / stamp).exists() or not folder.is_dir():
        return
    known = {LOCK, part_of(folder / stamp).name, *OF_A_SWEEP, f"{verb}.log"}
    if others := sorted(path.name for path in folder.iterdir() if path.name not in known):
        raise UserError(f"{folder}: not empty and not of '{verb}', holds {others[0]}; give a new or an empty folder")
