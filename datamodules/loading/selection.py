"""Which videos of a table are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from datamodules.issues import Finding
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError

AudioFakes = Literal["real", "leave_out"]
IN_WORDS = {
    "real": "counted as real (--data.audio_fakes leave_out leaves them out)",
    "leave_out": "left out (--data.audio_fakes real counts them as real)",
}


def describe_rule(count: int, rule: AudioFakes) -> str:
    """What is done with real videos under forged sound, in words."""
    return f"{count} real videos with forged sound: {IN_WORDS[rule]}"


def count_audio_fakes(videos: pa.Table) -> int:
    return int(pc.sum(pc.equal(videos["modality"], "audio")).as_py() or 0)


def apply_rule(rows: Sequence[Video], rule: AudioFakes) -> tuple[list[Video], list[Finding]]:
    """Rows of a reader by the rule for forged sound, and what is said of it."""
    forged = [row for row in rows if row.modality == "audio"]
    if not forged:
        return list(rows), []
    kept = list(rows) if rule == "real" else [row for row in rows if row.modality != "audio"]
    return kept, [Finding("sound", ".", describe_rule(len(forged), rule), len(forged))]


def select_rows(
    table: pa.Table, prepared: Path, split: str, compression: str | None, methods: list[str] | None, only_real: bool
) -> pa.Table:
    """The videos of a split.

    Args:
        prepared: Folder of the table, for messages.
        compression: Only of this release.
        methods: Manipulations wanted: all if unset.
    """
    wanted = pc.field("split") == split
    if compression is not None:
        wanted &= pc.field("compression") == compression
    if only_real:
        wanted &= pc.field("label") == 0
    videos = table.filter(wanted)
    if not len(videos):
        which = f" with compression {compression!r}" if compression is not None else ""
        is_unsplit = split != "test" and pc.unique(table["split"]).to_pylist() == ["test"]
        advice = "; all are for testing: --data.split 0.8 draws 80 % of the people for training" if is_unsplit else ""
        kind = "real " if only_real and split in pc.unique(table["split"]).to_pylist() else ""
        raise UserError(f"{prepared / 'manifest.csv'}: no {kind}{split} video{which}{advice}")
    if methods is None:
        return videos
    present = set(pc.unique(videos["method"]).to_pylist())
    if absent := sorted(set(methods) - present):
        there = ", ".join(sorted(present))
        raise UserError(f"{prepared}: no {split} video of {', '.join(absent)}; there are {there}")
    return videos.filter((pc.field("label") == 0) | pc.field("method").isin(pa.array(methods, pa.string())))
