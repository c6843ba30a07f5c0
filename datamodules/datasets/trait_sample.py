"""Which files of a data set are looked into for what gives their class away, and what is found there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain, zip_longest
from pathlib import Path

import cv2

from datamodules import manifest
from datamodules.manifest import Video
from datamodules.media.probe import VideoError
from datamodules.media.traits import Traits, read_traits
from datamodules.runtime import process_pool


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredFile:
    """
    Args:
        source: The clip that it was made from, see manifest.sources.
        traits: None of a file that cannot be looked into.
    """

    key: str  # of its video
    split: str
    method: str
    label: int
    source: str
    traits: Traits | None


def draw_files(rows: Sequence[Video], most: int) -> list[Video]:
    """At most so many of each split: half of them real, the rest from all forgeries in turn; always the same ones."""
    groups: dict[str, dict[str, list[Video]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: blake2b(row.key.encode(), digest_size=8).digest()):
        groups[row.split][row.method].append(row)
    out = []
    for _, methods in sorted(groups.items()):
        real = methods.pop("real", [])
        turns = chain.from_iterable(zip_longest(*(rows for _, rows in sorted(methods.items()))))
        fake = [row for row in turns if row is not None]
        reals = max(most // 2, most - len(fake))
        out += [*real[:reals], *fake[: most - len(real[:reals])]]
    return out


def measure_file(row: Video, root: Path, source: str) -> MeasuredFile:
    cv2.setNumThreads(1)
    found = pass_over(row, root, source)
    try:
        return replace(found, traits=read_traits(manifest.resolve_inside(root, row.path)))
    except (VideoError, manifest.Outside, OSError):  # of which the other checks tell
        return found


def pass_over(row: Video, _: Path, source: str) -> MeasuredFile:
    """Of a file that ended the process which decoded it, too."""
    return MeasuredFile(key=row.key, split=row.split, method=row.method, label=row.label, source=source, traits=None)


def measure_files(rows: Sequence[Video], root: Path, workers: int) -> Iterator[MeasuredFile]:
    sources = manifest.sources(manifest.table(rows)).to_pylist()
    jobs = ((measure_file, (row, root, source)) for row, source in zip(rows, sources, strict=True))
    yield from process_pool.run(jobs, workers, pass_over)
