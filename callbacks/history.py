"""metrics.csv of a run, kept when the run goes on."""

from __future__ import annotations

import csv
from pathlib import Path

from lightning_fabric.loggers.csv_logs import _ExperimentWriter
from pytorch_lightning.loggers.csv_logs import CSVLogger, ExperimentWriter


class Continued(ExperimentWriter):
    """Appends to the file of the run that is resumed; the parent deletes it."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as f:
                self.metrics_keys = next(csv.reader(f), [])


class History(CSVLogger):
    @property
    def experiment(self) -> _ExperimentWriter:
        if self._experiment is None:
            self._experiment = Continued(log_dir=self.log_dir)
        return self._experiment
