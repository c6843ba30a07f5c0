"""Whether an mp4 says in which unit its times are: of a timescale of 0, FFmpeg makes 1 and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

NESTED = {b"moov", b"trak", b"mdia"}
DATES = {0: 8, 1: 16}  # bytes of the two dates before the timescale, by the version of the box
MOST = 100_000  # boxes that are looked at: a file may be made of nothing else


def lacks_timescale(path: Path) -> bool:
    """Whether a header of the movie or of one of its tracks has a timescale of 0."""
    with path.open("rb") as f:
        headers = (kind for kind in islice(walk(f, path.stat().st_size), MOST) if kind in (b"mvhd", b"mdhd"))
        return any(read_timescale(f) == 0 for _ in headers)


def walk(f: BinaryIO, end: int) -> Iterator[bytes]:
    """The kinds of boxes in their order, those in others too, the file at the content of each."""
    at = 0
    while at + 8 <= end:
        f.seek(at)
        size, kind, header = int.from_bytes(f.read(4), "big"), f.read(4), 8
        if size == 1:  # more than 32 bits hold
            size, header = int.from_bytes(f.read(8), "big"), 16
        yield kind
        if kind in NESTED:
            size = header  # what is in it comes next
        if size < header:  # up to the end, or nonsense that is left to FFmpeg
            return
        at += size


def read_timescale(f: BinaryIO) -> int | None:
    """Of the header box at whose content the file is; nothing of one that is cut."""
    version = f.read(4)[:1]
    f.seek(DATES[int(version == b"\1")], 1)
    content = f.read(4)
    return int.from_bytes(content, "big") if len(content) == 4 else None
