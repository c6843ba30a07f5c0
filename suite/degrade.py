"""The verb that passes the test videos of a data set through a degradation."""

from __future__ import annotations

import os
from pathlib import Path

from jsonargparse import auto_cli

from datamodules.datasets import table
from datamodules.degradation.dataset import LOST, degrade_all, read_lost
from datamodules.degradation.severities import Kind
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from suite.cli.parser import Parser
from suite.cli.progress import bar


def degrade(
    data: FaceData, kind: Kind, severity: int, out: Path, workers: int = os.cpu_count() or 1, max_skipped: float = 0.01
) -> None:
    """Write a degraded copy of the test videos and their masks, before any face is looked for.

    Called again, it resumes, and redoes what was replaced. 'prepare' reads the copy with configs/data/table.yaml.

    Args:
        data: The data set, for instance configs/data/ffpp_c23.yaml.
        kind: What happens to the videos; what no coder is part of is stored without loss, tens of times as large.
        severity: 1 to 5.
        out: Folder to fill.
        workers: Processes. The videos do not depend on it.
        max_skipped: Share of unusable videos above which the call fails, once all others are done.
    """
    rows = [row for row in data.list_dataset()[0] if row.split == "test"]
    if not rows:
        raise UserError(f"{data.root}: has no test videos")
    assert data.root is not None
    if out.resolve() == data.root.resolve():
        rule = "is the folder of the data set, which is never written to; give a folder of its own"
        raise UserError(f"degrade: out {out}: {rule}")
    with hold_folder(out, "degrade"), bar("degrading") as show:
        for done, total in degrade_all(rows, data.root, out, kind, severity, data.decoder, workers):
            show(done, total)
    lost = read_lost(out / LOST)
    print(f"{out}: {len(rows) - len(lost)} of {len(rows)} videos")
    wanted = [row for row in rows if row.mask and row.key not in lost]
    masked = {row.key for row in table.index(out) if row.mask} if wanted else set()
    if without := [row.mask for row in wanted if row.key not in masked]:
        print(f"{len(without)} of {len(wanted)} masks left out, of no frame of their videos, first {without[0]}")
    if len(lost) > max_skipped * len(rows):
        first = "; ".join(f"{name}: {reason}" for name, reason in list(lost.items())[:3])
        raise UserError(
            f"{len(lost)} of {len(rows)} videos lost, more than {max_skipped:.0%} ({first}); see {out / LOST}"
        )


def main(argv: list[str]) -> None:
    auto_cli(degrade, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite degrade")
