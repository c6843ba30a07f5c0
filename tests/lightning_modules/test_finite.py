"""What is no number is refused where it enters, by the name of the video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import SingleDeviceStrategy, Strategy

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from lightning_modules.base import Prediction
from lightning_modules.classifier import Classifier
from lightning_modules.finite import LossCheck
from lightning_modules.metrics import functional
from lightning_modules.metrics.calibration import platt
from lightning_modules.metrics.significance import Shared, claims
from suite.run_metrics import read_run
from tests.fixtures.runs import write_run

pytestmark = pytest.mark.usefixtures("few_resamples")

LABEL = torch.tensor([0, 1, 1, 0])
OF_SCORES: list[Callable[..., Any]] = [
    functional.auroc,
    functional.average_precision,
    functional.eer,
    functional.tpr_at_fpr,
    functional.accuracy,
    functional.balanced_accuracy,
    functional.best_threshold,
    functional.false_positive_rate,
    functional.true_positive_rate,
    functional.brier,
    functional.ece,
    platt,
]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("function", OF_SCORES, ids=lambda one: str(one.__name__))
def test_a_metric_of_scores_that_are_no_numbers_raises(function: Callable[..., Any], value: float) -> None:
    with pytest.raises(ValueError, match=rf"{function.__name__}: score 2 is {value}; scores must be finite"):
        function(torch.tensor([0.1, 0.9, value, 0.2]), LABEL)


def test_a_video_with_a_frame_that_has_no_score_raises() -> None:
    score, zeros = torch.tensor([0.1, float("nan")]), torch.zeros(2, dtype=torch.long)
    for units in (functional.pool_by_frame, functional.pool_by_video):
        with pytest.raises(ValueError, match="score 1 is nan"):
            units(score, zeros, zeros, torch.arange(2))


def test_nothing_is_claimed_over_scores_that_are_no_numbers() -> None:
    label = np.array([0, 0, 0, 1, 1, 1])
    broken = np.array([0.1, 0.2, 0.3, 0.7, np.nan, 0.9])
    one = Shared(scores={"ours": np.stack([np.arange(6.0)] * 2), "theirs": broken}, label=label)
    with pytest.raises(ValueError, match="theirs: the score of video 4 is not finite"):
        claims([one], [("ours", "theirs")], draws=10)


class Broken(Classifier):
    """Gives no number for one video, in what is broken of: its score, its mask or its loss."""

    def __init__(self, part: str, **kwargs: Any) -> None:
        super().__init__(backbone="test_resnet", **kwargs)
        self.part = part

    def predict(self, batch: Batch) -> Prediction:
        found = super().predict(batch)
        mask = torch.zeros_like(batch.mask)
        for i, video in enumerate(batch.video):
            if "/Swap/" in video and not self.training:
                (found.logit if self.part == "score" else mask)[i] = float("nan")
        return Prediction(logit=found.logit, mask_logit=mask)

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, torch.Tensor]:
        loss = super().losses(prediction, batch)["label"]
        return {"label": loss * (float("nan") if self.part == "loss" and self.global_step else 1)}


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_progress_bar=False, max_epochs=1)


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
@pytest.mark.parametrize("part", ["score", "mask"])
def test_an_evaluation_names_the_video_and_the_frame(part: str, verb: str, data: FaceData, trainer: Trainer) -> None:
    evaluate: Callable[..., Any] = getattr(trainer, verb)
    with pytest.raises(UserError, match=rf"^studio/Swap/c23/\w+, frame \d+: got a {part} that is no finite number"):
        evaluate(Broken(part), data)


def test_a_training_names_the_step_and_its_videos(data: FaceData, trainer: Trainer) -> None:
    with pytest.raises(UserError, match=r"train/loss is nan in step 2, of studio/\w+/c23/\w+, .*must be finite"):
        trainer.fit(Broken("loss"), data)


def test_losses_are_read_many_at_once_and_the_first_bad_one_is_named(
    data: FaceData, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LossCheck, "EVERY", 3)
    read: list[int] = []
    check = LossCheck.check

    def note(self: LossCheck, strategy: Strategy) -> None:
        read.append(len(self.pending))
        check(self, strategy)

    monkeypatch.setattr(LossCheck, "check", note)
    with pytest.raises(UserError, match="train/loss is nan in step 2"):
        trainer.fit(Broken("loss"), data)
    assert [count for count in read if count] == [3]


def test_a_process_whose_losses_are_numbers_stops_with_one_whose_are_not(data: FaceData) -> None:
    class OtherIsBad(SingleDeviceStrategy):
        def reduce_boolean_decision(self, decision: bool, all: bool = True) -> bool:
            return False

    check = LossCheck()
    batch = next(iter(data.train_dataloader()))
    check.add(torch.tensor(0.5), batch, 1, OtherIsBad())
    with pytest.raises(UserError, match="no finite number in another process"):
        check.check(OtherIsBad())


def test_a_loss_that_is_no_number_in_the_last_step_is_refused_before_a_checkpoint(
    data: FaceData, tmp_path: Path
) -> None:
    plain: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    trainer = Trainer(default_root_dir=tmp_path, max_epochs=1, limit_train_batches=2, limit_val_batches=0, **plain)
    with pytest.raises(UserError, match="train/loss is nan in step 2"):
        trainer.fit(Broken("loss"), data)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_table_with_a_score_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a") / "predictions.parquet"
    table = pq.read_table(path)
    score = table["score"].to_numpy().copy()
    score[130] = float("nan")
    column = table.column_names.index("score")
    pq.write_table(table.set_column(column, "score", pa.array(score)), path)
    with pytest.raises(UserError, match=r"predictions\.parquet: d/Swap/c23/032, frame 2: score nan must be finite"):
        read_run(tmp_path / "a")
