"""Whether a prepared folder still is what 'prepare' wrote: every byte of its tables and of its crops."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

from datamodules.issues import Finding
from datamodules.prepared import checksums
from datamodules.prepared.shards import ShardMember
from datamodules.prepared.tables import IMAGE_COLUMNS, load
from datamodules.runtime.errors import UserError

ROWS = 4096  # crops that one process reads after the other


def check_tables(prepared: Path) -> list[Finding]:
    found = []
    for name in checksums.TABLES:
        try:
            checksums.check(prepared, name, whole=True)
        except UserError as error:
            found.append(Finding("prepared", name, str(error).removeprefix(f"{prepared / name}: ")))
    return found


def check_crops(prepared: Path, first: int) -> list[Finding]:
    """Reads the images of some rows of crops.arrow."""
    found = []
    table = load(prepared / "crops.arrow").slice(first, ROWS)
    columns = [f"{kind}{what}" for kind in ("image", "mask") for what in IMAGE_COLUMNS]
    for row in table.select(columns).to_pylist():
        for kind in ("image", "mask"):
            file, offset, length, crc = (row[f"{kind}{what}"] for what in IMAGE_COLUMNS)
            if not file:
                continue
            try:
                content = ShardMember(file, offset, length).read(prepared)
            except OSError as error:
                found.append(Finding("prepared", file, f"cannot be read ({error.strerror or error})"))
                continue
            if crc32(content) != crc:
                where = f", of the {length} bytes from {offset} on," if offset else ""
                found.append(
                    Finding("prepared", file, f"is damaged: its checksum{where} is not that of what was written")
                )
    return found
