"""What a test shared with the training of its checkpoint, as its table of predictions keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datamodules.leaks.shared import KEY, NOTHING, UNKNOWN, SharedSet
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import shorten


def read_shared(about: Mapping[str, str], where: object) -> list[SharedSet] | None:
    """
    Args:
        about: Metadata of a prediction table, whose JSON was checked.
        where: Of it, for messages.
    """
    if KEY not in about:
        return None
    try:
        return [SharedSet(**one) for one in json.loads(about[KEY])]
    except TypeError as error:
        raise UserError(f"{where}: {KEY}: is not as a test writes it ({error})") from error


def describe_shared(sets: list[SharedSet] | None) -> list[str]:
    if sets is None:
        return [UNKNOWN]
    return [str(one) for one in sets] or [NOTHING]


def read_about(table: Path) -> dict[str, str]:
    """Metadata of a prediction table, without its rows."""
    try:
        return {k.decode(): v.decode() for k, v in (pq.read_schema(table).metadata or {}).items()}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{table}: is damaged, or no Parquet file ({shorten(error)}); test again") from error
