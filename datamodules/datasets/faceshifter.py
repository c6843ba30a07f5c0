"""FaceShifter, the fifth method of FaceForensics++; its real videos are those of FaceForensics++."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.ffpp import COMPRESSIONS, manipulated, official_lists, originals, owners
from datamodules.datasets.listing import counted, one_of
from datamodules.manifest import Video


def index(root: Path) -> Iterator[Video]:
    """Lists what is in a copy of FaceForensics++; there are no masks."""
    one_of(root, "manipulated_sequences/FaceShifter")
    lists = official_lists(root)
    for compression in COMPRESSIONS:
        rows = [
            *originals(root, "faceshifter", compression, lists),
            *manipulated(root, "faceshifter", "FaceShifter", compression, lists),
        ]
        yield from counted(rows, owners(root, ["FaceShifter"], compression), compression)
