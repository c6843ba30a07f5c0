"""A prepared set under another name: what looks like the faces of other people."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datamodules import digests, manifest
from datamodules.manifest import Video
from datamodules.tables import load, save, save_tracks

Change = Callable[[Video], dict[str, Any] | None]


def rename(prepared: Path, out: Path, dataset: str, change: Change = lambda row: {}) -> Path:
    """
    Args:
        change: Of each row of the manifest, beside its data set; the row is left out where it is None.
    """
    shutil.copytree(prepared, out, copy_function=os.link)  # what is written is a new file in the place of the old one
    rows = manifest.rows(manifest.read(prepared / "manifest.csv"))
    changed = {row.key: replace(row, dataset=dataset, **more) for row in rows if (more := change(row)) is not None}
    manifest.write(changed.values(), out / "manifest.csv", digests.replacing)
    for name in ("faces", "crops"):
        table = load(prepared / f"{name}.arrow")
        table = table.filter(pc.is_in(table["video"], pa.array(list(changed), table["video"].type)))
        column = table.schema.get_field_index("video")
        renamed = pc.replace_substring_regex(table["video"], "^[^/]*/", f"{dataset}/").cast(table["video"].type)
        save(out / f"{name}.arrow", table.schema, [table.set_column(column, "video", renamed)], digests.replacing)
    save_tracks(out)
    digests.settle(out)
    return out
