"""The files that a video of a data set lies in: their size and their hash."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

from datamodules.media.image_sequence import split_member


def files_of(path: Path) -> list[Path]:
    """What lies on the disk: an archive for its member, the files of a folder."""
    path = Path(split_member(path)[0])
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def size_of(path: Path) -> int:
    files = [file for file in files_of(path) if file.exists()]
    return sum(file.stat().st_size for file in files) if files else -1


def changed_at(path: Path) -> float:
    """When its content, or what is known of it, last changed: a copy that keeps its older date is told, too."""
    return max((file.stat().st_ctime for file in files_of(path) if file.exists()), default=0.0)


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
