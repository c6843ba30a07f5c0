"""What a training goes on from, and how many steps it has logged by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from callbacks.best_checkpoint import BestCheckpoint
from callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.training.csv_logger import count_steps
from suite.cli.checkpoint import is_whole_epoch

BATCHES = 4  # of an epoch


class Adversaries(LightningModule):
    """Two optimizers step in each batch."""

    automatic_optimization = False

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor], _: int) -> None:
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.zero_grad()
            self.manual_backward(self.layer(batch[0]).mean())
            optimizer.step()

    def validation_step(self, *_: object) -> None:
        self.log("val/video_auroc", 0.5)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD([one], 0.1) for one in self.layer.parameters()]


def train(folder: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """Checkpoints by their names."""
    best = BestCheckpoint(folder, "best", monitor="val/video_auroc", mode="max", enable_version_counter=False)
    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(accelerator="cpu", callbacks=[best, LastCheckpoint(folder)], **quiet, **options)
    data: DataLoader[Any] = DataLoader(TensorDataset(torch.ones(BATCHES, 1)))
    trainer.fit(Adversaries(), data, data)
    return {path.stem: torch.load(path, weights_only=False) for path in folder.glob("*.ckpt")}


@pytest.mark.parametrize(("batches", "epochs"), [(BATCHES, 1), (BATCHES + 1, 1), (2 * BATCHES, 2), (BATCHES - 1, 0)])
def test_the_last_checkpoint_is_of_a_whole_epoch_wherever_training_stops(
    batches: int, epochs: int, tmp_path: Path
) -> None:
    saved = train(tmp_path, max_steps=2 * batches)
    assert ("last" in saved) == (epochs > 0)
    if epochs:
        assert is_whole_epoch(saved["last"])
        assert count_steps(saved["last"]) == epochs * BATCHES


def test_an_epoch_without_a_validation_is_saved_too(tmp_path: Path) -> None:
    saved = train(tmp_path, max_epochs=1, check_val_every_n_epoch=2)
    assert saved.keys() == {"last"}
    saved = train(tmp_path, max_epochs=3, check_val_every_n_epoch=2)
    assert {name: one["epoch"] for name, one in saved.items()} == {"best": 1, "last": 2}


@pytest.mark.parametrize("every", [1, 2])  # at 2 the best one is saved before Lightning has counted its last batch
def test_of_two_optimizers_each_batch_is_logged_as_one_step(every: int, tmp_path: Path) -> None:
    saved = train(tmp_path, max_epochs=every, check_val_every_n_epoch=every)
    assert saved["last"]["global_step"] == saved["best"]["global_step"] == 2 * BATCHES * every
    assert count_steps(saved["last"]) == count_steps(saved["best"]) == BATCHES * every
