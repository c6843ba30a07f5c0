"""How faces were prepared, so that a checkpoint meets the same images it was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

from datamodules.media.decoder_family import ON_CPU
from datamodules.prepared import checksums
from datamodules.runtime.errors import UserError

Contract = dict[str, str | int | float]
LAYOUT = 2  # of prepared folders; raise it when those of before can no longer be used


def digest(contract: Contract) -> str:
    return blake2b(json.dumps(contract, sort_keys=True).encode(), digest_size=8).hexdigest()


# options of 'prepare' for what decides pixels
PREPARED_BY = {"margin": "--margin", "size": "--size", "alignment": "--alignment", "format": "--format"}
# what decides how prepared faces are read, and the options that change it
READ_BY = {"size": "--data.image_size", "clip": "--data.frame_source videos --data.clip", "every": "--data.every"}
SAME_PIXELS = {"Decord on cpu": ON_CPU, "PyAV on cpu": ON_CPU}  # as contracts were once written


def name_family(contract: Contract) -> Contract:
    """With the family of its decoder in place of the one that was named."""
    decoder = str(contract.get("decoder", ""))
    return contract | {"decoder": SAME_PIXELS[decoder]} if decoder in SAME_PIXELS else contract


def compare(mine: Contract, theirs: Contract, who: str, options: Mapping[str, str] | None = None) -> None:
    """
    Args:
        who: Says where ``theirs`` is from, for the message.
        options: Options that change a part of ``mine``, for the message.
    """
    mine, theirs = name_family(mine), name_family(theirs)
    different = [
        f"{name} is {mine.get(name, 'absent')!r} here and {theirs.get(name, 'absent')!r} there"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]
    if different:
        give = [f"{option} {theirs[name]}" for name, option in (options or {}).items() if mine[name] != theirs[name]]
        advice = f"; give {' '.join(give)}" if give else ""
        again = [
            f"{option} {theirs[name]}"
            for name, option in PREPARED_BY.items()
            if name in theirs and name not in (options or {}) and mine.get(name) != theirs[name]
        ]
        if again:
            command = f"python -m suite prepare --data FILE.yaml --data.prepared NEW_FOLDER {' '.join(again)}"
            advice += f"; prepare it so: {command}"
        raise UserError(f"{who} was prepared differently: {'; '.join(different)}{advice}")


def load(folder: Path) -> Contract:
    path = folder / "contract.json"
    if not path.exists():
        raise UserError(f"{path}: missing; run 'python -m suite prepare' with --data.prepared {folder}")
    if path.name in checksums.read(folder):  # from the end of the first call of 'prepare' on
        checksums.check(folder, path.name)
    contract: Contract = json.loads(path.read_text())
    if contract.get("layout", 1) != LAYOUT:
        was = f"{folder}: was prepared by an earlier version, layout {contract.get('layout', 1)}, must be {LAYOUT}"
        raise UserError(f"{was}; run 'python -m suite prepare' again, with a new folder for --data.prepared")
    return contract
