"""A training that was stopped within an epoch and resumed, against one that was not: every weight, moment and loss."""

from __future__ import annotations

import csv
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from jsonargparse import auto_cli
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.record import record
from datamodules.batch import Sample

ROOT = Path(__file__).parents[2]
Signal = Literal["KILL", "INT", "TERM"]


class SendSignal(Callback):
    """Stops its own process within an epoch."""

    def __init__(self, name: Signal, epoch: int = 1, batch: int = 2) -> None:
        """
        Args:
            name: Name of the signal.
            epoch: In which it is sent, counted from 0.
            batch: After which it is sent, counted from 0.
        """
        self.signal, self.when = getattr(signal, f"SIG{name}"), (epoch, batch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.when:
            os.kill(os.getpid(), self.signal)


class EndWorkersEachEpoch(Callback):
    """Workers that end with the epoch."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        create = data.loader

        def create_passing(*args: Any, **options: Any) -> DataLoader[Sample]:
            loader: DataLoader[Sample] = create(*args, **options)
            vars(loader)["persistent_workers"] = False  # DataLoader itself forbids to change it
            return loader

        data.loader = create_passing


def tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors and numbers of a part of a checkpoint, by their place in it."""
    if isinstance(value, Tensor):
        yield name, value.double()
    elif isinstance(value, int | float):
        yield name, torch.tensor(value, dtype=torch.float64)
    elif isinstance(value, dict | list | tuple):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from tensors(part, f"{name}/{key}")


def largest_difference(one: Path, other: Path, part: str) -> float:
    """
    Args:
        part: Entry of last.ckpt of both runs, for instance state_dict.
    """
    a, b = (
        dict(tensors(torch.load(run / "checkpoints/last.ckpt", weights_only=True).get(part))) for run in (one, other)
    )
    if a.keys() != b.keys():
        raise ValueError(f"{part}: {one} and {other} hold different tensors")
    return max((float((a[name] - b[name]).abs().max()) for name in a if a[name].numel()), default=0.0)


def logged_losses(run: Path) -> list[tuple[str, str]]:
    """Step and training loss, as they are in metrics.csv."""
    with (run / "metrics.csv").open() as f:
        return [(row["step"], row["train/loss"]) for row in csv.DictReader(f) if row["train/loss"]]


SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["suite.train", "lightning_modules.classifier", "callbacks.ema"])


def run_suite(arguments: list[str], log: Path) -> None:
    """The command, in a process that has imported everything."""
    with log.open("a") as f:
        os.dup2(f.fileno(), 1), os.dup2(f.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job begins without
    os.chdir(ROOT)
    sys.argv = ["suite", *arguments]
    runpy.run_module("suite", run_name="__main__", alter_sys=True)


def fit(run: Path, settings: dict[str, Any], *options: str) -> int:
    """Trains in a process of its own, which can be killed; its exit status."""
    run.mkdir(parents=True, exist_ok=True)
    file, log = run.with_suffix(".yaml"), run.with_suffix(".log")
    file.write_text(yaml.safe_dump(settings))
    arguments = ["fit", "--config", str(file), "--run", str(run), *options]
    process = SERVER.Process(target=run_suite, args=(arguments, log))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def data_of(studio: Path, prepared: Path, frame_source: str) -> dict[str, Any]:
    """Arguments of single crops, or of clips of two frames of the videos."""
    data = {
        "root": str(studio.resolve()),
        "prepared": str(prepared.resolve()),
        "frame_source": frame_source,
        "compression": "c23",
    }
    return {**data, "clips_per_face": 2} if frame_source == "crops" else {**data, "clips_per_face": 1, "clip": 2}


def training_settings(data: dict[str, Any], workers: int, persistent: bool) -> dict[str, Any]:
    """Settings with everything that has a state: augmentation, a schedule that watches a metric, averaged weights."""
    scheduler = {"monitor": "val/video_auroc", "mode": "max", "patience": 0}
    callbacks: list[dict[str, Any]] = [{"class_path": "callbacks.ema.EMA", "init_args": {"decay": 0.9}}]
    callbacks.append({"class_path": "callbacks.familiarity.KnowTraining", "init_args": {"faces": 32}})
    if not persistent:
        callbacks.append({"class_path": "benchmarks.studies.resume.EndWorkersEachEpoch"})
    common = {"batch_size": 8, "eval_clips": 2, "num_workers": workers}
    return {
        "model": {
            "class_path": "lightning_modules.classifier.Classifier",
            "init_args": {
                "backbone": "test_efficientnet",
                "scheduler": {"class_path": "pytorch_lightning.cli.ReduceLROnPlateau", "init_args": scheduler},
            },
        },
        "data": {**data, **common, "augment": {"class_path": "datamodules.augment.augment.Augment"}},
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 3,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "callbacks": callbacks,
        },
    }


def add_signal(settings: dict[str, Any], by: Signal) -> dict[str, Any]:
    """The same training with a callback that sends it a signal."""
    callback = {"class_path": "benchmarks.studies.resume.SendSignal", "init_args": {"name": by}}
    callbacks = [*settings["trainer"]["callbacks"], callback]
    return {**settings, "trainer": {**settings["trainer"], "callbacks": callbacks}}


def compare(unstopped: Path, resumed: Path) -> dict[str, Any]:
    parts = {"weights": "current_model_state", "averaged_weights": "state_dict"}
    parts |= {"optimizer": "optimizer_states", "schedule": "lr_schedulers"}
    differences = {name: largest_difference(unstopped, resumed, part) for name, part in parts.items()}
    return {**differences, "same_losses": logged_losses(unstopped) == logged_losses(resumed)}


def resume(studio: Path, prepared: Path, work: Path) -> None:
    """Measure, print and record: largest differences of last.ckpt, and whether all losses are the same.

    Args:
        studio: Folder of a generated data set.
        prepared: Folder that was prepared of it.
        work: Folder for the runs, empty.
    """
    rows = []
    for frame_source in ("crops", "videos"):
        data = data_of(studio, prepared, frame_source)
        unstopped = work.resolve() / frame_source / "unstopped"
        fit(unstopped, training_settings(data, 0, True))
        signals: tuple[Signal, ...] = ("KILL", "INT", "TERM")
        cases = [(workers, True, by) for workers, by in product((0, 1, 2), signals)]
        cases += [(workers, False, signals[0]) for workers in (1, 2)]
        for workers, persistent, by in cases:
            run = unstopped.parent / f"{workers}_{'kept' if persistent else 'new'}_{by}"
            settings = training_settings(data, workers, persistent)
            code = fit(run, add_signal(settings, by))
            epoch = int(torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"])
            fit(run, settings, "--ckpt_path", "last")
            how = {"frame_source": frame_source, "workers": workers, "persistent": persistent}
            how |= {"signal": by, "exit_status": code}
            how |= {"resumed_after_epoch": epoch, "steps": len(logged_losses(run))}
            rows.append({**how, **compare(unstopped, run)})
            print(rows[-1], flush=True)
    print(record("resume", rows))


if __name__ == "__main__":
    auto_cli(resume, as_positional=False)
