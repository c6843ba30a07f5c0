"""The verbs that run the Trainer: fit, validate, test, predict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import CSVLogger, Logger

from datamodules.base import FaceData
from lightning_modules.base import Method
from suite.parser import Parser


class SaveFitConfig(SaveConfigCallback):
    """Keeps the configuration of training; a later ``test`` in the same folder leaves it alone."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            super().setup(trainer, pl_module, stage)


class SuiteParser(Parser, LightningArgumentParser):
    """LightningCLI's parser with short errors."""


class SuiteCLI(LightningCLI):
    """A run is a folder: configuration, metrics and checkpoints are in it."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run", type=Path, default=Path("runs/last"), help="Folder of the run.")
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        run = Path(self._get(self.config_init, "run"))
        trainer = self._get(self.config_init, "trainer")
        given = trainer["logger"]
        loggers = [logger for logger in (given if isinstance(given, list) else [given]) if isinstance(logger, Logger)]
        callbacks = list(trainer["callbacks"] or [])
        if not any(isinstance(callback, ModelCheckpoint) for callback in callbacks):
            best = ModelCheckpoint(run / "checkpoints", "best", monitor="val/video_auroc", mode="max", save_last=True)
            callbacks.append(best)
        # metrics.csv of a run is that of training; the other verbs write theirs beside it
        csv = CSVLogger(run, name="", version="" if self.subcommand == "fit" else str(self.subcommand))
        here = {"default_root_dir": run, "logger": [csv, *loggers], "callbacks": callbacks}
        return super().instantiate_trainer(**here, **kwargs)


def main(argv: list[str]) -> LightningCLI:
    return SuiteCLI(
        Method,
        FaceData,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,  # a method takes its own as arguments
        seed_everything_default=0,
        save_config_callback=SaveFitConfig,
        save_config_kwargs={"overwrite": True},
        # the samplers deal to the ranks themselves
        trainer_defaults={"use_distributed_sampler": False, "num_sanity_val_steps": 0},
        parser_class=SuiteParser,
        parser_kwargs={"prog": "python -m suite"},
        args=None if argv == sys.argv[1:] else argv,
    )
