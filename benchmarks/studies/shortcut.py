"""A copy of prepared faces with a planted shortcut: most fakes of training and validation have a chequered corner."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from jsonargparse import auto_cli

from datamodules import manifest
from datamodules.prepared import checksums
from datamodules.prepared.tables import load, save
from datamodules.runtime.errors import UserError

CORNER = 0.16  # of the side of a crop


def plant(prepared: Path, out: Path, methods: list[str], share: float = 0.9, strength: int = 24, seed: int = 0) -> None:
    """Copy a folder of prepared faces, by links, and mark some of its fakes; the test split stays as it is.

    Args:
        prepared: Folder that 'prepare' filled, of image files.
        out: Folder to make.
        methods: The forgeries that carry the shortcut.
        share: Part of their videos that carry it.
        strength: Grey levels by which the corner is lighter and darker.
        seed: Seed of the random draws.
    """
    if out.exists():
        raise UserError(f"{out}: is there already; give another --out")
    shutil.copytree(prepared, out, copy_function=os.link)
    rng = np.random.default_rng(seed)
    rows = [row for row in manifest.rows(manifest.read(prepared / "manifest.csv")) if row.method in methods]
    marked = {row.key for row in rows if row.split != "test" and rng.random() < share}
    table = load(prepared / "crops.arrow")
    lengths, sums = table["image_length"].to_pylist(), table["image_crc"].to_pylist()
    for i, (video, name) in enumerate(zip(table["video"].to_pylist(), table["image"].to_pylist(), strict=True)):
        if video in marked:
            content = mark(out / name, strength)
            (out / name).unlink()  # the other name of the file stays as it was
            (out / name).write_bytes(content)
            lengths[i], sums[i] = len(content), crc32(content)
    for name, values in (("image_length", lengths), ("image_crc", sums)):
        column = table.schema.get_field_index(name)
        table = table.set_column(column, table.schema.field(column), [values])
    (out / checksums.FILE).unlink()  # likewise
    shutil.copy(prepared / checksums.FILE, out)
    save(out / "crops.arrow", table.schema, [table], checksums.replace_recorded)
    checksums.settle(out)
    print(f"{out}: {len(marked)} of {len(rows)} fakes carry the shortcut")


def mark(path: Path, strength: int) -> bytes:
    """A PNG of the image with its upper left corner chequered."""
    image = np.asarray(cv2.imread(str(path)), int)
    corner = round(CORNER * image.shape[0])
    image[:corner, :corner] += strength * (np.indices((corner, corner)).sum(0) // 4 % 2 * 2 - 1)[..., None]
    return bytes(cv2.imencode(".png", image.clip(0, 255).astype(np.uint8))[1].tobytes())


if __name__ == "__main__":
    auto_cli(plant, as_positional=False)
