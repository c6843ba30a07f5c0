"""Which epoch is the best one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from callbacks.best_checkpoint import BestCheckpoint

AUROC = [0.9, 0.95, 0.6, 0.7, 0.65]  # of each epoch


class Staged(LightningModule):
    """A training with two stages that is validated as AUROC says."""

    def __init__(self, first_stage_epochs: int | None) -> None:
        super().__init__()
        self.first_stage_epochs, self.layer = first_stage_epochs, nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        loss: Tensor = self.layer(batch[0]).mean()
        return loss

    def validation_step(self, *_: object) -> None:
        self.log("val/video_auroc", AUROC[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_a_run_that_was_moved_keeps_its_best_epoch_and_a_new_one_begins_without(tmp_path: Path) -> None:
    train(tmp_path / "old", None, 2)
    (tmp_path / "old").rename(tmp_path / "moved")
    for folder, expected in (("new", 3), ("moved", 1)):
        best = train(tmp_path / folder, None, 4, tmp_path / "moved/last.ckpt")
        assert torch.load(tmp_path / folder / "best.ckpt", weights_only=False)["epoch"] == expected
        assert best.best_model_score is not None
        assert float(best.best_model_score) == pytest.approx(AUROC[expected])


def train(folder: Path, first_stage_epochs: int | None, epochs: int, resumed: Path | None = None) -> BestCheckpoint:
    best = BestCheckpoint(folder, "best", monitor="val/video_auroc", mode="max", enable_version_counter=False)
    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[best], num_sanity_val_steps=1, **quiet)
    data: DataLoader[Any] = DataLoader(TensorDataset(torch.ones(2, 1)))
    trainer.fit(Staged(first_stage_epochs), data, data, ckpt_path=resumed)
    trainer.save_checkpoint(folder / "last.ckpt")
    return best


@pytest.mark.parametrize(
    ("first_stage_epochs", "epochs", "expected"), [(None, 5, 1), (2, 5, 3), (2, 2, 1), (2, 3, 2), (4, 5, 4)]
)
@pytest.mark.parametrize("stop", [None, 1, 2, 3, 4])
def test_the_best_epoch_is_one_of_the_last_stage_that_has_begun(
    first_stage_epochs: int | None, epochs: int, expected: int, stop: int | None, tmp_path: Path
) -> None:
    if stop is not None and stop < epochs:
        train(tmp_path, first_stage_epochs, stop)
        best = train(tmp_path, first_stage_epochs, epochs, tmp_path / "last.ckpt")
    else:
        best = train(tmp_path, first_stage_epochs, epochs)
    assert best.best_model_path == str(tmp_path / "best.ckpt")
    assert torch.load(tmp_path / "best.ckpt", weights_only=False)["epoch"] == expected
    assert best.best_model_score is not None
    assert float(best.best_model_score) == pytest.approx(AUROC[expected])
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"best.ckpt", "last.ckpt"}
