"""FaceForensics++, and whatever is laid out like it: the studio."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datamodules.base import FaceData
from datamodules.errors import Refused
from datamodules.manifest import SPLITS, Video

COMPRESSIONS = ("raw", "c23", "c40")
FAKE = re.compile(r"(\d{3})_(\d{3})")


class FFPP(FaceData):
    """FaceForensics++, one compression at a time."""

    def __init__(self, compression: str = "c23", methods: list[str] | None = None, **kwargs: Any) -> None:
        """
        Args:
            compression: raw, c23 or c40.
            methods: The manipulations to train and validate on, all without it. Testing sees all.
            **kwargs: See FaceData.
        """
        super().__init__(**kwargs)
        self.compression, self.methods = compression, methods

    def videos(self, split: str) -> list[Video]:
        rows = [row for row in super().videos(split) if row.compression == self.compression]
        if not rows:
            raise Refused(f"{self.prepared}: no {split} video with compression {self.compression!r}")
        if self.methods is None or split == "test":
            return rows
        present = {row.method for row in rows}
        if absent := sorted(set(self.methods) - present):
            there = ", ".join(sorted(present))
            raise Refused(f"{self.prepared}: no {split} video of {', '.join(absent)}; there are {there}")
        return [row for row in rows if row.label == 0 or row.method in self.methods]


def index(root: Path) -> Iterator[Video]:
    """Lists a copy of FaceForensics++: every compression and manipulation that is there."""
    split = official_splits(root)
    dataset = "studio" if (root / "studio.json").exists() else "ffpp"
    for compression in COMPRESSIONS:
        for path in videos_in(root / "original_sequences" / "youtube" / compression):
            if path.stem in split:
                yield Video(
                    dataset=dataset,
                    method="real",
                    compression=compression,
                    stem=path.stem,
                    path=path.relative_to(root).as_posix(),
                    label=0,
                    split=split[path.stem],
                    identities=path.stem,
                )
        for folder in sorted((root / "manipulated_sequences").glob("*")):
            for path in videos_in(folder / compression):
                pair = FAKE.fullmatch(path.stem)
                if pair is None or pair[1] not in split:
                    continue
                mask = folder / "masks" / "videos" / path.name
                yield Video(
                    dataset=dataset,
                    method=folder.name,
                    compression=compression,
                    stem=path.stem,
                    path=path.relative_to(root).as_posix(),
                    label=1,
                    split=split[pair[1]],
                    identities=f"{pair[1]} {pair[2]}",
                    mask=mask.relative_to(root).as_posix() if mask.exists() else "",
                )


def videos_in(folder: Path) -> list[Path]:
    # a leading dot: what other systems and interrupted downloads leave behind
    return sorted(p for p in (folder / "videos").glob("*.mp4") if not p.name.startswith("."))


def official_splits(root: Path) -> dict[str, str]:
    """Id to split, from the lists of pairs that the owners ship."""
    home: dict[str, str] = {}
    for split in SPLITS:
        path = root / f"{split}.json"
        if not path.exists():
            raise Refused(
                f"{path}: missing; put the owners' train.json, val.json and test.json beside original_sequences"
            )
        for pair in json.loads(path.read_text()):
            for id in pair:
                if home.setdefault(id, split) != split:
                    raise Refused(f"{path}: id {id!r} is also in {home[id]}.json")
    return home
