"""Training steps as a GPU wants them, held without one: few operations, and none that waits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from datamodules.batch import Batch
from datamodules.errors import Refused
from lightning_modules import meta
from lightning_modules.base import Method
from lightning_modules.sharpness import climb, come_home
from tests.counting import Operations


def batch(b: int, side: int = 64) -> Batch:
    return Batch(
        frames=torch.rand(b, 1, 3, side, side),
        label=torch.zeros(b, dtype=torch.long),
        mask=torch.zeros(b, 1, 1, side, side),
        has_mask=torch.ones(b, dtype=torch.bool),
        landmarks=torch.rand(b, 1, 68, 2) * (side - 1),
        has_landmarks=torch.ones(b, dtype=torch.bool),
        video=[f"studio/real/c23/{i}" for i in range(b)],
        people=[""] * b,
        track=torch.zeros(b, dtype=torch.long),
        numbers=torch.zeros(b, 1, dtype=torch.long),
        counts=torch.ones(b, dtype=torch.bool),
    )


@pytest.mark.parametrize("layers", [3, 300])
def test_the_way_to_the_second_pass_and_back_takes_few_operations_whatever_the_network(layers: int) -> None:
    parameters = [nn.Parameter(torch.rand(4, 4, device="meta")) for _ in range(layers)]
    for p in parameters:
        p.grad = torch.rand(4, 4, device="meta")
    with Operations() as sharpness:
        come_home(climb(parameters, 0.05))
    with Operations() as trial:
        meta.come_home(meta.descend(parameters, 1e-3), 1.0)
    assert sharpness.total <= 12
    assert trial.total <= 10


def test_parameters_that_overflowed_stay_where_they_are() -> None:
    p = nn.Parameter(torch.ones(3))
    p.grad = torch.tensor([1.0, torch.inf, torch.nan])
    home = climb([p], 0.05, may_overflow=True)
    assert p.tolist() == [1.0, 1.0, 1.0]
    come_home(home)
    assert p.tolist() == [1.0, 1.0, 1.0]


def test_rows_that_do_not_count_have_no_say_in_the_loss_of_labels() -> None:
    one = batch(4)
    one.label = torch.tensor([0, 1, 1, 0])
    one.counts = torch.tensor([True, False, True, True])
    logit = torch.tensor([0.5, 9.0, -1.0, 2.0], requires_grad=True)
    loss = Method.label_loss(logit, one)
    # -log of 1 - s(0.5), of s(-1) and of 1 - s(2), by hand
    assert loss.item() == pytest.approx((0.974077 + 1.313262 + 2.126928) / 3, abs=1e-5)
    loss.backward()
    assert logit.grad is not None
    assert logit.grad[1] == 0


def test_labels_and_landmarks_are_learnt_from_without_a_wait() -> None:
    one = batch(4).to("meta")
    Method.label_loss(torch.zeros(4, device="meta"), one)
    assert Method.landmarks(one).is_meta
    one.has_landmarks = torch.tensor([True, False, True, True])
    with pytest.raises(Refused, match="studio/real/c23/1: was prepared without landmarks"):
        Method.landmarks(one.to("meta"))
