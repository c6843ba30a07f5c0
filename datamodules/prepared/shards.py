"""Crops as files of their own or side by side in tar files, and where in one an image lies."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from datamodules.manifest import leads_out
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError

BLOCK = 512  # of a tar file


@dataclass(frozen=True, slots=True)
class ShardMember:
    """Where the bytes of one image lie; a file of its own has offset 0."""

    file: str  # relative to the prepared folder
    offset: int
    length: int

    def read(self, root: Path) -> bytes:
        if leads_out(self.file) or self.offset < 0 or self.length < 0:
            raise UserError(f"{root}: an image is said to lie in {self.file!r} at {self.offset}: outside the folder")
        with (root / self.file).open("rb") as f:
            f.seek(self.offset)
            return f.read(self.length)


def write_tar(path: Path, images: Iterable[tuple[str, bytes]]) -> dict[str, ShardMember]:
    """A plain tar and where each member's bytes begin; the file appears only when it is complete."""
    places = {}
    with write_atomically(path) as part, tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in images:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
            padded = -(-len(content) // BLOCK) * BLOCK
            places[name] = ShardMember(path.name, tar.offset - padded, len(content))
    return places


def join_tars(parts: list[Path], path: Path) -> list[int]:
    """Concatenates tars into one; returns by how much the offsets of each part move."""
    shifts, at = [], 0
    with write_atomically(path) as temporary, temporary.open("wb") as out:
        for part in parts:
            with tarfile.open(part) as tar:
                end = max((m.offset_data + -(-m.size // BLOCK) * BLOCK for m in tar.getmembers()), default=0)
            with part.open("rb") as f:
                out.write(f.read(end))
            shifts.append(at)
            at += end
        out.write(bytes(2 * BLOCK))
    return shifts
