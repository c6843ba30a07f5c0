"""The files that a video of a data set lies in: their size and their hash."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from datamodules.media.image_sequence import split_member


def files_of(path: Path) -> list[Path]:
    """What lies on the disk: an archive for its member, the files of a folder."""
    path = Path(split_member(path)[0])
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def find_state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def states_of(path: Path) -> list[os.stat_result]:
    """Of each of its files, in one look at each; none of what is not here."""
    path = Path(split_member(path)[0])
    state = find_state(path)
    if state is None or not stat.S_ISDIR(state.st_mode):
        return [state] if state else []
    states = (find_state(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)
    return [one for one in states if one and stat.S_ISREG(one.st_mode)]


def size_of(path: Path) -> int:
    states = states_of(path)
    return sum(state.st_size for state in states) if states else -1


def changed_at(path: Path) -> float:
    """When its content, or what is known of it, last changed: a copy that keeps its older date is told, too."""
    return max((state.st_ctime for state in states_of(path)), default=0.0)


def written_at(path: Path) -> float:
    """When its content was written, as it says itself: a copy may keep the older date."""
    return max((state.st_mtime for state in states_of(path)), default=0.0)


def sha256(path: Path) -> str:
    """First 16 hex digits of the content, that of the whole archive for one of its members."""
    files = files_of(path)
    return digest_of(tuple(files), tuple((f.stat().st_size, f.stat().st_mtime_ns) for f in files))


@functools.lru_cache(maxsize=4)  # an archive is the same for all its members
def digest_of(files: tuple[Path, ...], _: object) -> str:
    return hash_files(files)[:16]


def hash_files(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as f:
            while block := f.read(2**20):
                digest.update(block)
    return digest.hexdigest()
