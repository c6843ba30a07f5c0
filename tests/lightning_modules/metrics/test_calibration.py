"""Platt scaling against scikit-learn, and what it is fitted to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lightning_modules.metrics import functional
from lightning_modules.metrics.calibration import calibrate, platt
from lightning_modules.metrics.functional import log_odds


def drawn(reals: int, fakes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores that are too sure, and shifted."""
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], [reals, fakes])
    logit = 4 * (rng.normal(0, 1, len(label)) + 1.5 * label - 0.75) + 2
    return torch.from_numpy(logit).sigmoid(), torch.from_numpy(label)


def test_platt_is_scikit_learns_regression_at_balanced_classes() -> None:
    for seed, (reals, fakes) in enumerate(((32, 224), (200, 50), (2000, 9000))):
        score, label = drawn(reals, fakes, seed)
        x, y = log_odds(score).numpy()[:, None], label.numpy()
        slope, bias = map(float, platt(score, label))
        # Platt's labels are not quite 0 and 1: each video is a fake to one part and a real to the other
        sure = (min(reals, fakes) + 1) / (min(reals, fakes) + 2)
        share, each = np.where(y == 1, sure, 1 - sure), 1 / (2 * np.where(y == 1, fakes, reals))
        exact = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
        exact.fit(np.concatenate([x, x]), np.repeat([1, 0], len(x)), np.concatenate([each * share, each * (1 - share)]))
        assert (slope, bias) == pytest.approx((exact.coef_[0, 0], exact.intercept_[0]), rel=1e-4, abs=1e-4)
    plain = LogisticRegression(C=np.inf, class_weight="balanced", tol=1e-12, max_iter=10_000).fit(x, y)
    assert (slope, bias) == pytest.approx((plain.coef_[0, 0], plain.intercept_[0]), rel=0.01)


def test_calibrated_scores_are_as_sure_as_they_are_right_whatever_the_classes_were() -> None:
    score, label = drawn(300, 2100)
    fresh, kinds = drawn(3000, 1000, seed=1)  # another prior than that of validation
    slope, bias = platt(score, label)
    before, after = functional.ece(fresh, kinds), functional.ece(calibrate(fresh, slope, bias), kinds)
    assert before > 0.15
    assert after < 0.03


def test_a_score_that_says_nothing_has_no_calibration_error_at_any_prior() -> None:
    label = torch.tensor([0] * 32 + [1] * 224)
    assert float(functional.ece(torch.full((256,), 0.5), label)) == pytest.approx(0, abs=1e-12)
    assert float(functional.ece(torch.full((256,), 0.9), label)) == pytest.approx(0.4)


def test_what_is_told_apart_gets_a_slope_and_what_is_not_gets_none() -> None:
    label = torch.tensor([0, 0, 1, 1] * 20)
    slope, bias = platt(torch.tensor([0.2, 0.3, 0.7, 0.8] * 20), label)
    assert 1 < float(slope) < 20
    assert float(bias) == pytest.approx(0, abs=1e-4)
    for score in ([0.8, 0.7, 0.3, 0.2] * 20, [0.5] * 80):  # fakes score lower; all alike
        assert all(value.isnan() for value in platt(torch.tensor(score), label))
    assert all(value.isnan() for value in platt(torch.tensor([0.2, 0.3]), torch.tensor([1, 1])))
