"""How faces were prepared, so that a checkpoint meets the same images it was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from datamodules.media.decoder_family import ON_CPU
from datamodules.prepared import checksums
from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.own_folder import check_own
from datamodules.runtime.stored_files import check_kind, read_json, show

Contract = dict[str, str | int | float]
NAME = "contract.json"
LAYOUT = 2  # of prepared folders; raise it when those of before can no longer be used


def digest(contract: Contract) -> str:
    return blake2b(json.dumps(contract, sort_keys=True).encode(), digest_size=8).hexdigest()


# options of 'prepare' for what decides pixels
PREPARED_BY = {"margin": "--margin", "size": "--size", "alignment": "--alignment", "format": "--format"}
# what decides how prepared faces are read, and the options that change it
READ_BY = {"size": "--data.image_size", "clip": "--data.frame_source videos --data.clip", "every": "--data.every"}
# what others count on, and the largest value that is believed
TEXTS = ("decoder", "detector", "landmarks", "format", "alignment", "store", "colour")
COUNTS = {
    "layout": 99,
    "size": 8192,
    "clip": 1024,
    "every": 10_000,
    "frames": 10**9,
    "tracks": 10**9,
    "mask_threshold": 255,
}
ALWAYS = ("decoder", "detector", "landmarks", "format", "margin", "size")
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


def check_contract(contract: object, where: object, required: Sequence[str] = ALWAYS) -> Contract:
    """What was read back, if its values are of their types.

    Args:
        where: Says where it is from, for the message.
        required: Names that it must have.
    """
    known: Contract = check_kind(contract, dict, where)
    if absent := [name for name in required if name not in known]:
        raise UserError(f"{where}: has no {absent[0]!r}; is it of another library?")
    for name, value in known.items():
        rule = ""
        if name in TEXTS:
            rule = "" if isinstance(value, str) and value.strip() else "must be text"
        elif name in COUNTS:
            is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= COUNTS[name]
            rule = "" if is_count else f"must be a whole number from 1 to {COUNTS[name]}"
        elif not isinstance(value, str | int | float):
            rule = "must be text or a number"
        elif name == "margin" and not (isinstance(value, int | float) and 0 < value < 100):
            rule = "must be a number above 0"
        if rule:
            raise UserError(f"{where}: {name} {show(value)}: {rule}")
    return known


def begin(folder: Path, contract: Contract) -> None:
    """Makes the folder, or refuses one that was prepared otherwise or holds something else."""
    check_own(folder, NAME, "prepare")
    if (folder / NAME).exists():
        compare(contract, load(folder), str(folder))
    else:
        write_text(folder / NAME, json.dumps(contract, indent=1) + "\n")


def load(folder: Path) -> Contract:
    path = folder / NAME
    if not path.exists():
        raise UserError(f"{path}: missing; run 'python -m suite prepare' with --data.prepared {folder}")
    if path.name in checksums.read(folder):  # from the end of the first call of 'prepare' on
        checksums.check(folder, path.name)
    contract: Contract = read_json(path, dict, "; prepare the data again, into another folder")
    if contract.get("layout", 1) != LAYOUT:
        was = f"{path}: was prepared by an earlier version, layout {show(contract.get('layout', 1))}, must be {LAYOUT}"
        raise UserError(f"{was}; run 'python -m suite prepare' again, with a new folder for --data.prepared")
    return check_contract(contract, path)
