"""What a checkpoint or an exported folder says of its training, if it is what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamodules.prepared.contract import ALWAYS, check_contract
from datamodules.prepared.trained_on import SeenSet
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import check_kind, show, to_record
from lightning_modules.own_validation import KEY as OWN_VALIDATION


def check_provenance(known: Mapping[str, Any], file: Path) -> None:
    """
    Args:
        known: As it was read back.
        file: That it is from, for messages.
    """
    check_contract(known.get("contract"), f"{file}: contract", (*ALWAYS, "clip", "every"))
    stored, validated = known.get("stored"), known.get(OWN_VALIDATION)
    if stored is not None and not (type(stored) is int and stored > 0):
        raise UserError(f"{file}: stored {show(stored)}: must be null or a whole number above 0")
    if validated is not None and not (type(validated) in (int, float) and 0 <= validated <= 1):
        raise UserError(f"{file}: {OWN_VALIDATION} {show(validated)}: must be null or a number from 0 to 1")
    for name in check_kind(known.get("trained_on"), list, f"{file}: trained_on"):
        if not isinstance(name, str):
            raise UserError(f"{file}: trained_on {show(name)}: must be text")
    if known.get("seen") is not None:
        for one in check_kind(known["seen"], list, f"{file}: seen"):
            to_record(check_kind(one, dict, f"{file}: seen"), SeenSet, f"{file}: seen")
