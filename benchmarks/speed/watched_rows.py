"""Rows of a table, each of which may crash or hang: a row that hangs ends the script, which resumes after it."""

from __future__ import annotations

import faulthandler
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import record

STACKS = "gpu_stacks.txt"  # of what hung; a file that grew says that the script is to be called again


def measure_rows(
    stage: str, rows: Mapping[str, Callable[[], dict[str, Any]]], out: Path, seconds: float
) -> dict[str, dict[str, Any]]:
    """
    Args:
        stage: Name of the table.
        rows: Measurements by the name of the row.
        out: Folder of the rows that are done.
        seconds: Time that a row may take.
    """
    part = out / f"{stage}_part.json"
    done: dict[str, dict[str, Any]] = json.loads(part.read_text())["result"] if part.exists() else {}
    for name, measure in rows.items():
        if name in done:
            continue
        done[name] = {"error": f"did not end in {seconds:g} s; {STACKS} says where it was"}
        record(part.stem, done, out)
        with (out / STACKS).open("a") as stacks:
            faulthandler.dump_traceback_later(seconds, file=stacks, exit=True)  # also where Python itself waits
            try:
                done[name] = measure()
            except Exception as failure:  # one row must not cost the others
                done[name] = {"error": f"{type(failure).__name__}: {failure}"[:400]}
            finally:
                faulthandler.cancel_dump_traceback_later()
        print(name, done[name], flush=True)
        record(part.stem, done, out)
    part.unlink(missing_ok=True)
    return done
