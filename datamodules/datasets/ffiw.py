"""FFIW-10K: several people in an image, some of them forged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import check_count, one_of, resolve_inside, videos_in, word
from datamodules.manifest import SPLITS, Video

COUNTS = {"train": 8000, "val": 250, "test": 1738}


def index(root: Path) -> Iterator[Video]:
    """The splits are folders; ``source`` is real, ``target`` is fake."""
    home = root / "FFIW10K-v1-release"
    home = home if home.is_dir() else root
    rows = []
    for label, (folder, method) in enumerate({"source": "real", "target": "ffiw"}.items()):
        for split in SPLITS:
            for path in videos_in(root, one_of(home, f"{folder}/{split}")):
                rows.append(
                    Video(
                        dataset="ffiw",
                        method=method,
                        stem=f"{split}/{path.stem}",
                        path=resolve_inside(root, path),
                        label=label,
                        split=split,
                        # names are counted anew in each split
                        identities=word(f"{split}/{path.stem}"),
                    )
                )
    owners = {f"{split} {kind}": count for split, count in COUNTS.items() for kind in ("real", "fake")}
    yield from check_count(rows, owners)
