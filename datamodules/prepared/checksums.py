"""Checksums of the tables of a prepared folder: a byte that has changed would silently give other samples."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from datamodules.runtime.atomic_files import write_atomically, write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_json, shorten

FILE = "digests.json"
AGAIN = "prepare the data again, into another folder"
TABLES = ("contract.json", "manifest.csv", "faces.arrow", "crops.arrow", "tracks.arrow")
ALWAYS = 2**30  # bytes up to which a table is read whole before it is used, a third of a second; 'doctor' reads all

Digest = tuple[int, int]  # bytes, and CRC-32


def digest(path: Path) -> Digest:
    about = path.stat()
    return about.st_size, checksum(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=32)
def checksum(path: Path, size: int, changed: int) -> int:
    found = 0
    with path.open("rb") as f:
        while block := f.read(2**22):
            found = crc32(block, found)
    return found


def read(prepared: Path) -> dict[str, list[Digest]]:
    """Of each table the contents that it may have: two while it is replaced, for whoever is killed then."""
    path = prepared / FILE
    if not path.exists():
        return {}
    try:
        found = {
            name: [(int(size), int(crc)) for size, crc in known]
            for name, known in read_json(path, dict, f"; {AGAIN}").items()
        }
        if not all(found.values()):
            raise ValueError("a table without a checksum")
    except UserError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{path}: is damaged ({shorten(error)}); {AGAIN}") from error
    return found


def write(prepared: Path, known: dict[str, list[Digest]]) -> None:
    write_text(prepared / FILE, json.dumps(known, indent=1) + "\n")


@contextmanager
def replace_recorded(path: Path) -> Iterator[Path]:
    """As ``write_atomically``, for a table: what it will hold is on record before it does."""
    with write_atomically(path) as part:
        yield part
        known = read(path.parent)
        write(path.parent, known | {path.name: [*known.get(path.name, []), digest(part)]})


def settle(prepared: Path) -> None:
    """All tables are in place: what they held before is no longer accepted."""
    known = {name: digests[-1:] for name, digests in read(prepared).items()}
    if "contract.json" not in known and (prepared / "contract.json").exists():
        known["contract.json"] = [digest(prepared / "contract.json")]
    if known != read(prepared):
        write(prepared, known)


def check(prepared: Path, name: str, whole: bool = False) -> Path:
    """The table, refused where it is not what 'prepare' wrote.

    Args:
        whole: Also if it is large.
    """
    path, known = prepared / name, read(prepared).get(name)
    if not path.exists():
        raise UserError(f"{path}: missing; run 'python -m suite prepare'")
    if known is None:
        raise UserError(
            f"{path}: {FILE} has no checksum of it, as of an older version; prepare again, into another folder"
        )
    size = path.stat().st_size
    if size not in {bytes for bytes, _ in known}:
        raise UserError(
            f"{path}: is damaged ({size} bytes, written were {known[-1][0]}); prepare again, into another folder"
        )
    if (whole or size <= ALWAYS) and digest(path) not in known:
        raise UserError(
            f"{path}: is damaged (its checksum is not that of what was written); prepare again, into another folder"
        )
    return path


def check_all(prepared: Path) -> None:
    """Those that are there, whole: what is built on them would hide their damage."""
    for name in TABLES:
        if (prepared / name).exists() and (name != "contract.json" or name in read(prepared)):
            check(prepared, name, whole=True)
