"""metrics.csv of a run, kept when the run goes on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.csv_logs import _ExperimentWriter
from pytorch_lightning.loggers.csv_logs import CSVLogger, ExperimentWriter

from datamodules.runtime.atomic_files import name_failures, write_atomically
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_table


def write(path: Path, names: list[str], rows: list[dict[str, str]]) -> None:
    with write_atomically(path) as part, part.open("w", newline="") as f:
        writer = csv.DictWriter(f, names)
        writer.writeheader()
        writer.writerows(rows)


def read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    return read_table(path)


def count_steps(checkpoint: dict[str, Any]) -> int:
    """Steps as they are logged: a batch is one, also where several optimizers step, which global_step counts."""
    fit = checkpoint["loops"]["fit_loop"]
    epochs, steps = fit["epoch_progress"]["total"], fit["epoch_loop.state_dict"]["_batches_that_stepped"]
    return int(steps) + (epochs["processed"] < epochs["started"])  # during validation the last is yet to be counted


def rewind(path: Path, step: int) -> None:
    """Drops what was logged after the checkpoint that training goes on from: it will be logged again."""
    if path.is_file():
        names, rows = read(path)
        try:
            kept = [row for row in rows if int(row["step"]) < step]
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}: has a row without its step ({error}); move it away to go on") from error
        write(path, names, kept)


class Continued(ExperimentWriter):
    """Appends to the file of the run that is resumed; the parent deletes it."""

    def save(self) -> None:
        with name_failures(Path(self.metrics_file_path)):
            super().save()

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            self.metrics_keys = read(path)[0]

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        write(path, fieldnames, read(path)[1])


class History(CSVLogger):
    @property
    def experiment(self) -> _ExperimentWriter:
        if self._experiment is None:
            self._experiment = Continued(log_dir=self.log_dir)
        return self._experiment
