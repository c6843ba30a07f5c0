"""Trainings and tests of a sweep, each a command of its own; what is done is left as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datamodules import cluster, pool
from datamodules.atomic import write_text
from datamodules.errors import Refused
from suite.sweeps.plan import Cell, Sweep, merged

BEGUN, DONE = "asked.json", "done.json"  # in the folder of a command: what it was, and that it came to its end
HOME = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A command that did not come to its end."""

    cell: Cell
    test: str | None  # None: the training
    reason: str

    def __str__(self) -> str:
        return f"{self.cell}{f', tested on {self.test}' if self.test else ''}: {self.reason}"


class Stopped(Exception):
    """A command ended with an error; its last words."""


def play(sweep: Sweep, out: Path, workers: int, address: str | None = None) -> Iterator[list[Failure]]:
    """What failed of each training and its tests, once these are over.

    Args:
        workers: At the same time on this machine.
        address: Of a Ray cluster, each of whose trials gets a GPU of its own, where there are any.
    """
    cells = list(sweep.cells())
    first = {entrant.after for entrant in sweep.methods.values()}
    for awaited in (True, False):
        jobs: list[pool.Job] = [
            (played, (sweep, cell, out, Path.cwd())) for cell in cells if (cell.method in first) is awaited
        ]
        if address is None:
            yield from pool.run(jobs, workers)
        else:
            yield from cluster.run(jobs, address, workers, one_gpu=True)


def played(sweep: Sweep, cell: Cell, out: Path, where: Path) -> list[Failure]:
    """
    Args:
        where: The folder that paths in configs are relative to.
    """
    entrant, run = sweep.methods[cell.method], cell.run(out)
    fit = Command("fit", run, entrant.config, sweep.settings(cell, out))
    if entrant.checkpoint is None:
        try:
            fit.go(where)
        except Stopped as error:
            return [Failure(cell=cell, test=None, reason=str(error))]
    checkpoint = entrant.checkpoint or run / "checkpoints/best.ckpt"
    failures = []
    for name, domain in sweep.test.items():
        place = cell.tested(out, name)
        try:
            settings = merged(fit.settings, domain.settings() | {"run": str(place)})
            Command("test", place, entrant.config, settings, checkpoint).go(where)
        except (Stopped, Refused, OSError) as error:
            failures.append(Failure(cell=cell, test=name, reason=str(error)))
    return failures


@dataclass(frozen=True)
class Command:
    """'python -m suite' with all that its result depends on."""

    verb: str
    folder: Path
    configs: list[Path]
    settings: dict[str, Any]
    checkpoint: Path | None = None  # to test

    def asked(self) -> dict[str, Any]:
        found: dict[str, Any] = {"configs": [file.read_text() for file in self.configs], "settings": self.settings}
        if self.checkpoint is not None:
            state = self.checkpoint.stat()
            found["checkpoint"] = [str(self.checkpoint), state.st_size, state.st_mtime_ns]
        return found

    def go(self, where: Path) -> None:
        """Runs it, unless it came to its end before; its words are in <verb>.log."""
        asked, begun, done = json.dumps(self.asked(), indent=1), self.folder / BEGUN, self.folder / DONE
        is_same = begun.is_file() and begun.read_text() == asked
        if is_same and done.is_file():
            return
        options = ["--ckpt_path", str(self.checkpoint)] if self.checkpoint is not None else []
        if self.verb == "fit" and any((self.folder / "checkpoints").glob("*.ckpt")):
            if not is_same:
                raise Stopped(f"{self.folder}: holds a run with other settings; give another --out, or remove it")
            options = ["--ckpt_path", "last"] if (self.folder / "checkpoints/last.ckpt").is_file() else []
        done.unlink(missing_ok=True)
        write_text(begun, asked)
        changed = self.folder / "settings.yaml"
        write_text(changed, yaml.safe_dump(self.settings, sort_keys=False))
        start = time.perf_counter()
        self.run([*self.configs, changed], options, where)
        write_text(done, json.dumps({"seconds": round(time.perf_counter() - start, 1)}) + "\n")

    def run(self, configs: list[Path], options: list[str], where: Path) -> None:
        given = [word for file in configs for word in ("--config", str(file))]
        path, log = os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")]), self.folder / f"{self.verb}.log"
        with log.open("w") as said:
            code = subprocess.run(
                [sys.executable, "-m", "suite", self.verb, *given, *options],
                cwd=where,
                env={**os.environ, "PYTHONPATH": path},
                stdout=said,
                stderr=said,
                check=False,
                preexec_fn=pool.ends_with_parent,
            ).returncode
        if code:
            lines = [line for line in log.read_text(errors="replace").split("\n") if line.strip()]
            reasons = [line.removeprefix("suite: ") for line in lines if line.startswith("suite: ")] or lines
            raise Stopped(reasons[-1] if reasons else f"exit status {code}")
