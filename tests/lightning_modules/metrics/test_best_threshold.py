"""Where validation puts the line between real and fake."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.metrics import functional


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        ([0.1, 0.2], [0.6, 0.8], 0.4),  # half way between the highest real and the lowest fake, not on either
        (
            [0.1, 0.5],
            [0.4, 0.9],
            0.7,
        ),  # 0.9 misses a fake, 0.4 accuses a real face: of equals the one that accuses less
        ([0.2], [0.2], 0.2),  # nothing tells them apart: every one is called fake, at the only score there is
    ],
)
def test_the_threshold_lies_half_way_between_two_scores(real: list[float], fake: list[float], expected: float) -> None:
    score, label = torch.tensor(real + fake), torch.tensor([0] * len(real) + [1] * len(fake))
    assert float(functional.best_threshold(score, label)) == pytest.approx(expected)


def test_a_score_that_is_a_little_below_the_lowest_fake_of_validation_is_called_fake() -> None:
    score, label = torch.tensor([0.1, 0.2, 0.6, 0.8]), torch.tensor([0, 0, 1, 1])
    line = functional.best_threshold(score, label)
    assert functional.balanced_accuracy(torch.tensor([0.25, 0.55]), torch.tensor([0, 1]), line) == 1


@pytest.mark.parametrize("below_one", [1, 2, 3, 4])
def test_of_neighbouring_scores_the_upper_one_is_the_threshold(below_one: int) -> None:
    unit = 2.0**-24  # from one single-precision number to the next, below 1
    real, fake = 1 - (below_one + 1) * unit, 1 - below_one * unit
    score, label = torch.tensor([real, real, fake, fake]), torch.tensor([0, 0, 1, 1])
    line = functional.best_threshold(score, label)
    assert line == fake
    assert functional.balanced_accuracy(score, label, line) == 1


def test_one_class_alone_has_no_threshold() -> None:
    assert functional.best_threshold(torch.tensor([0.1, 0.2]), torch.tensor([1, 1])).isnan()
