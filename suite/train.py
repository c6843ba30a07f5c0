"""The verbs that run the Trainer: fit, validate, test, predict."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from lightning_fabric.utilities.rank_zero import _get_rank
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from callbacks.best_checkpoint import BestCheckpoint
from callbacks.clip_video import ClipVideo
from callbacks.console import Console
from callbacks.epoch_seed import EpochSeed
from callbacks.familiarity import KnowTraining
from callbacks.last_checkpoint import LastCheckpoint
from callbacks.metrics_by_set import MetricsBySet
from callbacks.panels import Panels
from callbacks.predictions import PredictionTable
from callbacks.roc import RocCurve
from callbacks.throughput import Throughput
from datamodules.face_data import FaceData
from datamodules.runtime import malloc
from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from lightning_modules.base import Method
from lightning_modules.training.checkpoint_io import SafeCheckpointIO
from lightning_modules.training.csv_logger import History, count_steps, rewind
from lightning_modules.training.sync_batchnorm import SyncBatchNorm
from lightning_modules.weights import FROM_FILES
from suite.cli.checkpoint import check_is_whole_epoch, complete_checkpoint, find_checkpoint
from suite.cli.parser import Parser
from suite.cli.wandb_key import has_key

LOCKS = ExitStack()  # of the folder of the run; in no object: EMA copies all that its network leads to
Terminate = Callable[[int, FrameType | None], object]


class SaveFitConfig(SaveConfigCallback):
    """Keeps the configuration of training, once nothing was refused; a later ``test`` in the folder leaves it alone."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Passed over: a checkpoint that does not fit is refused after it."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # what a run was resumed from would be what a test of its configuration takes
        self.config["ckpt_path"] = None
        if trainer.is_global_zero:
            text = self.parser.dump(self.config, skip_none=False)
            write_text(Path(trainer.default_root_dir) / self.config_filename, text)  # atomically: a kill may come now
            self.save_config(trainer, pl_module, "fit")

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_hyperparams(self.config.as_dict())


class SuiteParser(Parser, LightningArgumentParser):
    """LightningCLI's parser with short errors."""


class SuiteCLI(LightningCLI):
    """A run is a folder: configuration, metrics and checkpoints are in it."""

    def __init__(self, verb: str, *args: Any, **kwargs: Any) -> None:
        """
        Args:
            verb: The one whose options are read; those of all four would take four times as long.
            *args: See LightningCLI.
            **kwargs: See LightningCLI.
        """
        self.verb = verb
        super().__init__(*args, **kwargs)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        every = super().subcommands()
        return {self.verb: every[self.verb]} if self.verb in every else every

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run", type=Path, default=Path("runs/last"), help="Folder of the run.")
        parser.add_argument(
            "--wandb", type=str | None, default=None, help="W&B project to log to as well; offline without a key."
        )
        parser.add_argument("--wandb_group", type=str | None, default=None, help="Of the W&B run.")
        parser.add_argument("--wandb_tags", type=list[str], default=[], help="Of the W&B run; its name, too.")
        parser.add_argument("--wandb_config", type=dict[str, str | int | None], default={}, help="More of its columns.")
        uploads = "Whether to log the best and the last checkpoint to W&B as artifacts."
        parser.add_argument("--wandb_checkpoints", type=bool, default=False, help=uploads)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        config["run"] = Path(os.path.expandvars(config["run"]))  # an agent of W&B names runs in $WANDB_RUN_ID
        given = config["ckpt_path"]
        self.checkpoint = find_checkpoint(str(self.subcommand), config["run"], given)
        self.starts_anew = given == "last" and self.checkpoint is None
        if self.checkpoint is not None and self.subcommand != "fit":  # which brings all weights
            for name in FROM_FILES:
                config["model"].get("init_args", {}).pop(name, None)

    def _parse_ckpt_path(self) -> None:
        """Passed over: it would let the hyper-parameters of a checkpoint beat the config and the command line."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        run = Path(self._get(self.config_init, "run"))
        settings = self._get(self.config_init, "trainer")
        self.config_init[self.subcommand]["ckpt_path"] = self.checkpoint
        if not settings["fast_dev_run"] and is_first_process():
            LOCKS.enter_context(hold_folder(run, str(self.subcommand)))
        if self.subcommand == "fit" and not settings["fast_dev_run"]:
            self.begin(run)
        elif (
            self.subcommand != "fit"
            and not settings["fast_dev_run"]
            and self.checkpoint is None
            and not self._get(self.config_init, "model").is_trained
        ):
            raise UserError(f"{self.subcommand}: give --ckpt_path, for instance {run / 'checkpoints' / 'best.ckpt'}")
        plugins = settings["plugins"] or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        if settings["sync_batchnorm"]:
            plugins = [SyncBatchNorm(), *plugins]
        own = {
            "sync_batchnorm": False,  # the plugin does it
            "default_root_dir": run,
            "logger": self.loggers(run, settings["logger"]),
            "callbacks": self.callbacks(run, settings["callbacks"], self._get(self.config_init, "model").monitor),
            "plugins": [SafeCheckpointIO(), *plugins],
            # a bar in a file is a line for each step, and Console says what a summary of layers would
            "enable_progress_bar": sys.stdout.isatty() if (bar := settings["enable_progress_bar"]) is None else bar,
            "enable_model_summary": settings["enable_model_summary"] or False,
        }
        try:
            trainer = super().instantiate_trainer(**own, **kwargs)
        except (ValueError, MisconfigurationException) as error:  # of accelerators and devices that are not there
            raise UserError(f"trainer: {error}") from error
        if callable(before := signal.getsignal(signal.SIGTERM)):
            signal.signal(signal.SIGTERM, functools.partial(terminate_unless_training, trainer, before))
        return trainer

    def begin(self, run: Path) -> None:
        """A folder that holds a run is resumed or left alone."""
        if (path := self.checkpoint) is not None:
            checkpoint = SafeCheckpointIO().load_checkpoint(path)
            check_is_whole_epoch(checkpoint, path)
            if path.resolve().is_relative_to(run.resolve()):
                rewind(run / "metrics.csv", count_steps(checkpoint))
                return
        if any((run / "checkpoints").glob("*.ckpt")) and not self.starts_anew:
            raise UserError(f"{run}: holds a run; give another --run, or go on with it by --ckpt_path last")
        (run / "metrics.csv").unlink(missing_ok=True)

    def loggers(self, run: Path, given: Any) -> list[Logger]:
        # metrics.csv of a run is that of training; the other verbs write theirs beside it
        loggers: list[Logger] = [
            History(run, name="", version="" if self.subcommand == "fit" else str(self.subcommand))
        ]
        project, uploads = (self._get(self.config_init, name) for name in ("wandb", "wandb_checkpoints"))
        if uploads and project is None:
            raise UserError("wandb_checkpoints: there is nowhere to log them; give --wandb PROJECT, too")
        if project is not None:
            run.mkdir(parents=True, exist_ok=True)
            group, tags, config = (self._get(self.config_init, f"wandb_{name}") for name in ("group", "tags", "config"))
            about = {"group": group, "tags": tags, "config": config, "job_type": self.subcommand}
            about["log_model"] = uploads and self.subcommand == "fit"
            loggers.append(WandbLogger(project=project, name=", ".join(tags) or run.name, save_dir=run, **about))
        return loggers + [
            logger for logger in (given if isinstance(given, list) else [given]) if isinstance(logger, Logger)
        ]

    def after_validate(self) -> None:
        is_whole = self.trainer.limit_val_batches == 1.0 and not self.trainer.fast_dev_run  # type: ignore[attr-defined]
        if is_whole and self.checkpoint is not None and self.trainer.is_global_zero:
            complete_checkpoint(self.checkpoint, self.model)

    def after_fit(self) -> None:
        found = self.trainer.checkpoint_callbacks
        best = next((one for one in found if isinstance(one, ModelCheckpoint) and one.monitor), None)
        run = self.trainer.default_root_dir
        if best is not None and best.best_model_score is None and Path(run, "checkpoints/last.ckpt").is_file():
            self.say_next(f"validate --config {run}/config.yaml --ckpt_path last", "was never validated; ")
        elif best is not None and best.best_model_score is not None and best.best_model_score.isfinite():
            self.say_next(
                f"test --config {run}/config.yaml --ckpt_path best",
                f"best {best.monitor} {float(best.best_model_score):.4g}; ",
            )

    def after_test(self) -> None:
        self.say_next(f"report {self.trainer.default_root_dir}")

    def say_next(self, command: str, said: str = "") -> None:
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            print(f"{said}next: python -m suite {command}")

    @staticmethod
    def callbacks(run: Path, given: list[Callback] | Callback | None, monitor: tuple[str, str]) -> list[Callback]:
        callbacks = list(given) if isinstance(given, list) else [given] if given else []
        standard: list[Callback] = [EpochSeed(), Throughput(), MetricsBySet(), PredictionTable(), RocCurve(), Panels()]
        standard += [ClipVideo(), KnowTraining(), Console()]
        callbacks += [s for s in standard if not any(isinstance(c, type(s)) for c in callbacks)]
        if not any(isinstance(callback, ModelCheckpoint) for callback in callbacks):
            folder = run / "checkpoints"
            # selected on the source validation split, never on a test set
            best = BestCheckpoint(folder, "best", monitor=monitor[0], mode=monitor[1], enable_version_counter=False)
            callbacks += [best, LastCheckpoint(folder)]
        return callbacks


def is_first_process() -> bool:
    """Of those that train together, as whatever started them tells."""
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return not _get_rank() and int(node) == 0


def terminate_unless_training(trainer: Trainer, terminate: Terminate, number: int, frame: FrameType | None) -> None:
    """Lightning ends a training behind its batch, on all ranks."""
    if not trainer.received_sigterm:
        terminate(number, frame)


def silence_notes() -> None:
    """Advertisements and notes that a user can do nothing about."""
    warnings.filterwarnings("ignore", r".*isinstance\(treespec")
    warnings.filterwarnings("ignore", "The number of training batches")
    warnings.filterwarnings("ignore", "The .* does not have many workers")
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
        lambda record: not any(word in record.getMessage() for word in ("litlogger", "TPU", "Trainer.fit` stopped"))
    )
    # timm's list of layers that a network of features alone does without
    logging.getLogger("timm.models._builder").addFilter(
        lambda record: not record.getMessage().startswith("Unexpected keys")
    )


def wandb_without_a_key() -> None:
    """Nothing ever waits for a login."""
    if not has_key():
        os.environ.setdefault("WANDB_MODE", "offline")
    os.environ.setdefault("WANDB_SILENT", "true")


def main(argv: list[str]) -> LightningCLI:
    malloc.keep()
    silence_notes()
    wandb_without_a_key()
    try:
        with LOCKS:
            return build_cli(argv)
    except SIGTERMException:
        # Lightning would end with 0, as if all were done
        sys.exit(128 + signal.SIGTERM)
    except SystemExit as ended:
        # by which Lightning answers Ctrl-C
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise ended.__context__ from None
        raise


def build_cli(argv: list[str]) -> LightningCLI:
    return SuiteCLI(
        argv[0] if argv else "",
        Method,
        FaceData,
        subclass_mode_model=True,
        subclass_mode_data=False,
        auto_configure_optimizers=False,  # a method takes its own as arguments
        seed_everything_default=0,
        save_config_callback=SaveFitConfig,
        # the samplers deal to the ranks themselves
        trainer_defaults={"use_distributed_sampler": False, "num_sanity_val_steps": 0, "log_every_n_steps": 10},
        parser_class=SuiteParser,
        parser_kwargs={"prog": "python -m suite"},
        args=None if argv == sys.argv[1:] else argv,
    )
