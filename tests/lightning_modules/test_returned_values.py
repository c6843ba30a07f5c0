"""What a method of somebody's own returns is refused by name, not deep inside a metric."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from lightning_modules.base import Method, Prediction
from tests.fixtures.batches import batch

LOGIT = torch.zeros(6)


class Given(Method):
    """Returns what it is told to."""

    def __init__(self, prediction: Any, losses: Any = None) -> None:
        super().__init__()
        self.prediction, self.given = prediction, losses

    def forward(self, frames: Tensor) -> Prediction:
        return self.prediction

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        return self.given


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (LOGIT, "returns Tensor, must return a Prediction"),
        (Prediction(logit=LOGIT[:, None]), r"logit is \(6, 1\), must be \(B,\), one for each clip: \(6,\)"),
        (Prediction(logit=LOGIT[:5]), r"logit is \(5,\), must be"),
    ],
)
def test_a_prediction_of_another_shape_is_refused_in_training_and_evaluation(returned: Any, message: str) -> None:
    for step in (lambda one: one.training_step(batch(), 0), lambda one: one.outcome(batch())):
        with pytest.raises(UserError, match=f"^Given.forward: {message}"):
            step(Given(returned))


@pytest.mark.parametrize("shape", [(6, 1, 4, 4), (6, 1, 1, 2, 2), (6, 2, 1, 4, 4), (5, 1, 1, 4, 4), ()])
def test_a_map_of_another_shape_than_the_masks_is_refused(shape: tuple[int, ...]) -> None:
    one = Given(Prediction(logit=LOGIT, mask_logit=torch.zeros(shape)))
    with pytest.raises(UserError, match=r"mask_logit is \(.*, as the masks of the data: \(6, 1, 1, 4, 4\)"):
        one.outcome(batch())


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (LOGIT.mean(), "returns Tensor, must return a dict of losses"),
        ({}, "returns dict, must return a dict of losses, one or more"),
        ({"label": LOGIT}, r"'label' is \(6,\), must be a tensor of one number, the mean of the batch"),
        ({"label": 0.5}, "'label' is float, must be a tensor"),
    ],
)
def test_losses_that_are_none_are_refused(losses: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^Given.losses: {message}"):
        Given(Prediction(logit=LOGIT), losses).training_step(batch(), 0)


def test_what_is_as_it_should_be_passes() -> None:
    one = Given(Prediction(logit=LOGIT, mask_logit=torch.zeros(6, 1, 1, 4, 4)))
    assert one.outcome(batch()).score.tolist() == [0.5] * 6
