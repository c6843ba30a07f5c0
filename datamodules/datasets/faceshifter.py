"""FaceShifter, the fifth method of FaceForensics++; its real videos are those of FaceForensics++."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.ffpp import COMPRESSIONS, list_manipulated, official_lists, originals, owners
from datamodules.datasets.listing import check_count, one_of
from datamodules.manifest import Video


def index(root: Path) -> Iterator[Video]:
    """Lists what is in a copy of FaceForensics++; there are no masks."""
    one_of(root, "manipulated_sequences/FaceShifter")
    lists = official_lists(root)
    for compression in COMPRESSIONS:
        rows = [
            *originals(root, "faceshifter", compression, lists),
            *list_manipulated(root, "faceshifter", "FaceShifter", compression, lists),
        ]
        yield from check_count(rows, owners(root, ["FaceShifter"], compression), compression)
