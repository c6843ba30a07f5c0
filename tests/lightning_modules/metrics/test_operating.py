"""Thresholds that a share of real videos exceeds: by hand, on fresh draws, and where validation is too small."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest
import torch

from datamodules import manifest
from datamodules.runtime.errors import UserError
from lightning_modules.metrics.calibration import calibrate
from lightning_modules.metrics.functional import SURE
from lightning_modules.metrics.operating import KEPT, ValidationScores, count, sample
from lightning_modules.trained_method import load


def validated(reals: list[float], fakes: list[float]) -> ValidationScores:
    score = torch.tensor([*reals, *fakes], dtype=torch.float64)
    label = torch.tensor([0] * len(reals) + [1] * len(fakes))
    shuffled = torch.randperm(len(score), generator=torch.Generator().manual_seed(0))
    score, label = score[shuffled], label[shuffled]
    return ValidationScores(scores=sample(score, label), counts=count(score, label))


def test_the_threshold_is_a_score_of_validation_that_so_many_reals_exceed() -> None:
    reals = [i / 100 for i in range(39)]  # 0 to 0.38; with the next one 40, of which 5 % are 2
    of = validated(reals, [0.1, 0.37, 0.38, 0.5])
    forged, unclear = of.find_point(0.05), of.find_point(0.2)
    assert (forged.threshold, forged.false_alarms, forged.reals) == (pytest.approx(0.37), 1, 39)
    assert (forged.misses, forged.fakes, forged.is_resolved) == (2, 4, True)  # an equal score is no alarm
    assert (unclear.threshold, unclear.false_alarms, unclear.misses) == (pytest.approx(0.31), 7, 1)
    assert forged.false_alarm_rate == pytest.approx(1 / 39)
    assert forged.miss_rate == pytest.approx(0.5)


def test_too_few_reals_for_a_share_give_the_highest_of_their_scores_and_say_so() -> None:
    of = validated([i / 100 for i in range(12)], [0.5])
    point = of.find_point(0.05)
    assert (point.threshold, point.false_alarms, point.is_resolved) == (pytest.approx(0.11), 0, False)
    assert of.find_point(0.2).is_resolved
    assert of.find_point(0.2).false_alarms == 1  # 2 of 13 are less than a fifth, 3 are not
    assert [validated([0.1] * n, [0.5]).find_point(0.05).is_resolved for n in (18, 19)] == [False, True]


def test_of_equal_scores_none_exceeds_the_threshold() -> None:
    point = validated([1.0] * 40, [1.0] * 10).find_point(0.05)
    assert (point.threshold, point.false_alarms, point.misses) == (1 - SURE, 0, 10)


def test_counts_of_a_saturated_detector_are_those_of_its_verdicts() -> None:
    reals, fakes = [1e-9 * i for i in range(1, 41)], [2e-9, 0.5, 1 - 1e-9, 1.0]
    of = validated(reals, fakes)
    for wanted in (0.05, 0.2):
        point = of.find_point(wanted)
        probability, threshold = (
            calibrate(torch.tensor(values, dtype=torch.float64), 0.5, 1.0)
            for values in ([*reals, *fakes], point.threshold)
        )
        alarms = probability > threshold
        assert (point.false_alarms, point.misses) == (int(alarms[:40].sum()), int((~alarms[40:]).sum())) == (0, 1)


@pytest.mark.parametrize("n", [19, 45, 300, 5 * KEPT])
def test_fresh_reals_exceed_it_no_oftener_than_was_wanted(n: int) -> None:
    generator, wanted, rates = torch.Generator().manual_seed(n), 0.1, []
    for _ in range(200):
        reals = torch.rand(n, generator=generator, dtype=torch.float64)
        of = ValidationScores(
            scores=sample(reals, torch.zeros(n, dtype=torch.long)), counts=torch.tensor([n, 0], dtype=torch.float64)
        )
        (kept, _), threshold = of.sorted_scores, of.find_point(wanted).threshold
        assert threshold in kept
        rates.append(1 - threshold)  # of reals that are drawn evenly from 0 to 1
    mean, error = float(torch.tensor(rates).mean()), float(torch.tensor(rates).std()) / 200**0.5
    assert mean <= wanted + 3 * error
    assert mean >= wanted - 1.5 / n - 1 / KEPT - 3 * error  # and hardly less often


def test_of_more_videos_than_are_kept_false_alarms_and_misses_are_never_too_few() -> None:
    n = 7 * KEPT + 3
    generator = torch.Generator().manual_seed(0)
    reals, fakes = (torch.rand(n, generator=generator, dtype=torch.float64) ** power for power in (2.0, 0.5))
    of = validated(reals.tolist(), fakes.tolist())
    assert of.scores.shape == (2, KEPT)
    assert of.numbers == (n, n)
    for wanted in (0.01, 0.05, 0.2, 0.5):
        point = of.find_point(wanted)
        alarms, misses = int((reals > point.threshold).sum()), int((fakes <= point.threshold).sum())
        assert alarms <= point.false_alarms <= min(alarms + 8, wanted * (n + 1))
        assert misses <= point.misses <= misses + 8


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(UserError, match=r"must be above 0 and below 1, for instance 0\.05"):
        validated([0.1], [0.2]).find_point(share)


def test_a_checkpoint_has_the_scores_of_the_videos_of_all_processes(two_processes: Path, prepared: Path) -> None:
    videos = manifest.read(prepared / "manifest.csv")
    rows = videos.filter(pc.field("split") == "val")
    reals = rows.filter(pc.field("label") == 0).num_rows
    found = load(two_processes).validation_scores
    assert found.numbers == (reals, rows.num_rows - reals)
    assert [len(kept) for kept in found.sorted_scores] == list(found.numbers)
