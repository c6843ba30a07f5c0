"""The verb that examines somebody's copy of a data set."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from jsonargparse import auto_cli
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.datasets.doctor import (
    blame_decoder,
    check_decoded,
    check_listing,
    check_preparation,
    explain_wrong,
    is_real_alone,
)
from datamodules.face_data import FaceData
from datamodules.issues import KINDS, LACKING, WRONG, Finding
from datamodules.manifest import SPLITS, Video
from datamodules.media.image import HALF, check_threshold
from datamodules.prepared.doctor import ROWS, check_crops, check_tables
from datamodules.prepared.tables import load
from datamodules.runtime import process_pool
from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.spacing import space_evenly
from suite.cli.parser import Parser, expand_flag
from suite.cli.progress import bar
from suite.runs.give_aways import look_into

SHOWN = 3  # findings of a kind in the table; the file has all


def doctor(
    data: FaceData,
    decode: bool = False,
    prepared: bool = False,
    videos: int | None = None,
    frames: int = 32,
    mask_threshold: int = HALF,
    give_aways: int = 200,
    max_unusable: float = 0.01,
    workers: int = os.cpu_count() or 1,
    out: Path | None = None,
) -> None:
    """Compare a copy with the lists and counts of its owners; exit with 1 where training on it would be wrong.

    Args:
        data: The data set, for instance configs/data/celeb_df_v2.yaml.
        decode: Also decode every video, compare its mask and search for faces: minutes instead of seconds.
        prepared: Also read every file of the prepared folder, and compare its checksum with that of what was written.
        videos: Decode only this many of each split and method, evenly spaced.
        frames: A video with fewer is short.
        mask_threshold: Grey level, 1 to 255, from which a pixel of a mask is forged, as 'prepare' is given it.
        give_aways: Files of each split that are looked into for what tells real from fake without a face: their heads
            and three frames; 0 is without.
        max_unusable: Share of videos that may be missing or unusable.
        workers: Processes that decode and read.
        out: File to write; doctor.json in the prepared folder without it.
    """
    if videos is not None and not decode:
        raise UserError("--videos: chooses what --decode decodes; give both")
    check_threshold(mask_threshold)
    rows, findings = data.list_dataset()
    assert data.root is not None
    findings += check_listing(rows, data.root, data.prepared)
    empty = {one.path for one in findings if one.kind in ("corrupt", "missing")}
    todo = [row for row in pick_examples(rows, videos) if row.path not in empty] if decode else []
    decoded = {row.key for row in todo}
    findings += check_preparation([row for row in rows if row.key not in decoded], data.prepared)
    if decode:
        jobs = ((check_decoded, (row, data.root, data.decoder, frames, mask_threshold)) for row in todo)
        with bar("decoding") as show:
            for done, found in enumerate(process_pool.run(jobs, workers, blame_decoder), 1):
                findings += found
                show(done, len(todo))
    if prepared:
        findings += check_prepared(data.prepared, workers)
    sample = look_into(rows, data.root, give_aways, workers)
    findings += sample.findings()
    findings = list(dict.fromkeys(findings))  # what 'prepare' has left out, decoding finds, too
    reasons = explain_wrong(findings, rows, max_unusable)
    findings.sort(key=lambda one: (KINDS.index(one.kind), one.path))
    show_tables(rows, findings, data)
    sample.show(console())
    path = out or data.prepared / "doctor.json"
    content = {
        "root": str(data.root),
        "decoded": decode,
        "prepared_read": prepared,
        "videos": [{"split": s, "method": m, "videos": n} for (s, m), n in sorted(count_methods(rows).items())],
        "wrong": reasons,
        "findings": [asdict(one) for one in findings],
        "give_aways": sample.to_json(),
    }
    write_text(path, json.dumps(content, indent=1) + "\n")
    print(f"{path}: all {len(findings)} findings")
    if is_real_alone(rows):
        print("real videos alone: train with a synthesis, or beside other sets")
    if reasons:
        print(f"training on this copy would be wrong: {'; '.join(reasons)}")
        sys.exit(1)
    print("nothing that would make training wrong")


def check_prepared(prepared: Path, workers: int) -> list[Finding]:
    findings = check_tables(prepared)
    if any(one.path == "crops.arrow" for one in findings):
        return findings  # it does not say where the crops are
    starts = range(0, len(load(prepared / "crops.arrow")), ROWS)
    with bar("reading crops", unit="blocks") as show:
        for done, found in enumerate(process_pool.run(((check_crops, (prepared, i)) for i in starts), workers), 1):
            findings += found
            show(done, len(starts))
    return findings


def count_methods(rows: Sequence[Video]) -> Counter[tuple[str, str]]:
    return Counter((row.split, row.method) for row in rows)


def pick_examples(rows: Sequence[Video], count: int | None) -> list[Video]:
    if count is None:
        return list(rows)
    groups: dict[tuple[str, str], list[Video]] = defaultdict(list)
    for row in rows:
        groups[row.split, row.method].append(row)
    return [group[i] for group in groups.values() for i in space_evenly(len(group), count)]


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160)


def show_tables(rows: Sequence[Video], findings: Sequence[Finding], data: FaceData) -> None:
    count = count_methods(rows)
    table = Table("", *SPLITS, title=escape(f"{data.root}: {len(rows)} videos"), title_justify="left")
    for method in sorted({row.method for row in rows}, key=lambda name: (name != "real", name)):
        table.add_row(escape(method), *(str(count[split, method]) for split in SPLITS))
    console().print(table)
    if not findings:
        return
    table = Table("finding", "times")
    for name in ("where", "what"):
        table.add_column(name, overflow="fold")  # a path that is cut short cannot be looked up
    for kind in KINDS:
        mine = [one for one in findings if one.kind == kind]
        if not mine:
            continue
        colour = "red" if kind in WRONG else "yellow" if kind in LACKING else "dim"
        for i, one in enumerate(mine[:SHOWN]):
            first = (f"[{colour}]{kind}[/]", str(sum(f.videos for f in mine))) if i == 0 else ("", "")
            table.add_row(*first, escape(one.path), escape(one.text))
        if len(mine) > SHOWN:
            table.add_row("", "", "...", f"and {len(mine) - SHOWN} more")
    console().print(table)


def main(argv: list[str]) -> None:
    auto_cli(
        doctor,
        args=expand_flag(expand_flag(argv[1:], "--decode"), "--prepared"),
        as_positional=False,
        parser_class=Parser,
        prog="python -m suite doctor",
    )
