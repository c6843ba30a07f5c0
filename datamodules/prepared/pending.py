"""Which videos of a list are still to be prepared: what is new, was mended in the list, or replaced on the disk."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from datamodules import manifest
from datamodules.manifest import Video
from datamodules.media.source_files import changed_at, sha256, size_of, written_at
from datamodules.prepared import checksums
from datamodules.prepared.face_table import FACES
from datamodules.prepared.tables import (
    CROPS,
    Skipped,
    describe_preparation,
    list_decisive,
    read_manifest,
    read_skipped,
    replace_rows,
    save_tracks,
)


def is_still_skipped(skipped: Skipped, row: Video, root: Path, since: float) -> bool:
    """
    Args:
        since: When the table of those that are skipped was written.
    """
    path = root / skipped.path
    is_as_listed = skipped.listed in ("", describe_preparation(row)) and skipped.path in (row.path, row.mask)
    return is_as_listed and size_of(path) == skipped.bytes and changed_at(path) <= since


def relist(out: Path, listed: list[Video]) -> list[Video]:
    """What is prepared and stays so: a list that was mended since then is believed, a file that moved is read again."""
    by_key, faces = {row.key: row for row in listed}, {(row.path, row.box) for row in listed}
    old_rows = read_manifest(out)
    # those of other lists stay; but what is listed under another name, or label, would be there twice
    renamed = {old.key for old in old_rows if old.key not in by_key and (old.path, old.box) in faces}
    new_rows, unchanged = [], []
    for old in old_rows:
        if old.key in renamed:
            continue
        new = replace(by_key.get(old.key, old), fps=old.fps, frames=old.frames, sha256=old.sha256)
        new_rows.append(new)
        if list_decisive(new) == list_decisive(old):
            unchanged.append(new)
    if renamed:
        for table, schema in (("faces", FACES), ("crops", CROPS)):
            replace_rows(out / f"{table}.arrow", schema, [], renamed)
        save_tracks(out)
    if new_rows != old_rows:
        since = (out / "manifest.csv").stat().st_mtime
        manifest.write(new_rows, out / "manifest.csv", checksums.replace_recorded)
        date_manifest(out, since)
        checksums.settle(out)
    return unchanged


def list_pending(out: Path, listed: list[Video], root: Path) -> list[Video]:
    """Those of the list, and those of earlier lists whose files were changed since."""
    unchanged = relist(out, listed)
    replaced = find_replaced(out, unchanged, root)
    done_keys = {row.key for row in unchanged}
    if all_skipped := read_skipped(out):
        by_key, since = {row.key: row for row in listed}, (out / "skipped.csv").stat().st_mtime
        for skipped in all_skipped:
            row = by_key.get(skipped.video)
            if row and is_still_skipped(skipped, row, root, since):
                done_keys.add(skipped.video)
    return [row for row in listed if row.key not in done_keys] + replaced


def find_replaced(out: Path, prepared: list[Video], root: Path) -> list[Video]:
    """Those whose files are younger than the manifest, with the hash of before, or without where their mask is."""
    if not prepared:
        return []
    since, found = (out / "manifest.csv").stat().st_mtime, []
    for row in prepared:
        # no hash of a mask is kept: a copy of it that keeps its date is not told, and none costs hours for nothing
        if has_newer_mask(row, root, since):
            found.append(replace(row, sha256=""))
        elif changed_at(root / row.path) > since:
            found.append(row)
    return found


def is_as_prepared(row: Video, root: Path) -> bool:
    """Whether a video whose file is younger than what was prepared of it is the same."""
    try:
        return bool(row.sha256) and sha256(manifest.resolve_inside(root, row.path)) == row.sha256
    except manifest.Outside:
        return False


def is_younger(row: Video, root: Path, made: Path) -> bool:
    """Whether the video or its mask were changed since something was made of them."""
    since = made.stat().st_mtime
    return changed_at(root / row.path) > since or has_newer_mask(row, root, since)


def has_newer_mask(row: Video, root: Path, since: float) -> bool:
    return bool(row.mask) and written_at(root / row.mask) > since


def date_manifest(out: Path, seconds: float) -> None:
    """Its date is when the files of its videos were last compared: what is younger may be another."""
    if (path := out / "manifest.csv").exists():
        os.utime(path, (seconds, seconds))
