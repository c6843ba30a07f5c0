"""The verb that finds, tracks and crops the faces of a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from jsonargparse import auto_cli

from datamodules import manifest
from datamodules.crops import Format
from datamodules.errors import Refused
from datamodules.prepare import Recipe, prepare_all
from datamodules.tables import read_skipped
from datamodules.tracks import FaceTracker
from datamodules.video import Decoder, Decord
from suite.parser import Parser
from suite.progress import bar


def prepare(
    index: Callable[[Path], Iterable[manifest.Video]],
    root: Path,
    out: Path,
    decoder: Decoder | None = None,
    faces: FaceTracker | None = None,
    compression: str | None = None,
    size: int = 256,
    margin: float = 1.3,
    frames: int = 32,
    tracks: int = 1,
    format: Format = "png",
    store: Literal["files", "shards"] = "files",
    workers: int = os.cpu_count() or 1,
    max_skipped: float = 0.01,
) -> None:
    """Write manifest, face tracks and crops of a data set; called again, it goes on where it was.

    Args:
        index: Lists the videos of the data set, for instance datamodules.ffpp.index.
        root: Folder of the data set as its owners ship it; never written to.
        out: Folder to fill.
        decoder: Reads the videos; datamodules.video.Decord without it.
        faces: Finds and follows the faces.
        compression: Only videos of this release, for instance c23.
        size: Side of a crop, in pixels.
        margin: Side of the square over the longer side of the detected box.
        frames: Crops per video and face, evenly spaced over its length.
        tracks: Faces per video that are cropped; where there is a mask, it says which come first.
        format: png and webp keep every bit; jpg is quality 95 without chroma subsampling.
        store: Image files, or tar shards with their offsets in crops.parquet.
        workers: Processes.
        max_skipped: Share of unusable videos above which the call fails, once all others are done.
    """
    if not root.is_dir():
        raise Refused(f"{root}: no such folder")
    rows = [row for row in index(root) if compression in (None, row.compression)]
    if not rows:
        raise Refused(f"{root}: no video found" + (f" with compression {compression!r}" if compression else ""))
    recipe = Recipe(
        decoder=decoder or Decord(),
        tracker=faces or FaceTracker(),
        size=size,
        margin=margin,
        frames=frames,
        tracks=tracks,
        format=format,
        store=store,
    )
    with bar("preparing") as show:
        for done, total in prepare_all(rows, root, out, recipe, workers):
            show(done, total)
    wanted = {row.key for row in rows}
    skipped = [skip for skip in read_skipped(out) if skip.video in wanted]
    print(f"{out}: {len(rows) - len(skipped)} of {len(rows)} videos, {len(skipped)} skipped")
    if len(skipped) > max_skipped * len(rows):
        first = "; ".join(f"{skip.path}: {skip.reason}" for skip in skipped[:3])
        share = f"{len(skipped)} of {len(rows)} videos skipped, more than {max_skipped:.0%}"
        raise Refused(f"{share} ({first}); see {out / 'skipped.csv'}")


def main(argv: list[str]) -> None:
    auto_cli(prepare, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite prepare")
