"""Intervals from resampling people with their videos, or whole videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from lightning_modules.metrics import pixel
from lightning_modules.metrics.bootstrap import Videos, auroc_interval, interval, localization, resample
from lightning_modules.metrics.pixel import BINS
from suite.run_metrics import read_run, videos
from tests.fixtures.runs import write_run


def test_the_fast_interval_is_the_slow_one(tmp_path: Path) -> None:
    from lightning_modules.metrics import functional

    v = videos(read_run(write_run(tmp_path / "a")))
    draws = resample(v)[:300]
    fast, slow = auroc_interval(v, draws), interval(functional.auroc, v, draws)
    assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high), abs=1e-6)


def test_pixel_intervals_come_from_resampling_whole_videos(tmp_path: Path) -> None:
    table = read_run(write_run(tmp_path / "a")).table
    everything = np.ones(len(table["label"]), bool)
    found = localization(table, everything, {"pixel_threshold": 0.6}, draws=400)
    forged, other = (np.stack(list(table[name])).reshape(50, 4, BINS).sum(1) for name in ("forged", "other"))
    centre, rng = np.arange(BINS), np.random.default_rng(1)

    def auroc(fakes: Any) -> float:
        weight = np.concatenate([forged[fakes].sum(0), other[fakes].sum(0)])
        return float(roc_auc_score(np.repeat([1, 0], BINS), np.tile(centre, 2), sample_weight=weight))

    one = found["pixel_auroc"]
    assert one.value == pytest.approx(auroc(np.arange(30, 50)), abs=1e-6)
    slow = np.percentile([auroc(rng.integers(30, 50, 20)) for _ in range(400)], [2.5, 97.5])
    assert (one.low, one.high) == pytest.approx(slow, abs=0.15 * (slow[1] - slow[0]))
    per_frame = found["pixel_frame_iou_at_half"]
    each = pixel.iou(
        pixel.Histograms(*(torch.from_numpy(np.stack(list(table[n]))[120:]) for n in ("forged", "other", "other")))
    )
    assert per_frame.value == pytest.approx(float(each.mean()))
    slow = np.percentile(each.view(20, 4).mean(1).numpy()[rng.integers(0, 20, (2000, 20))].mean(1), [2.5, 97.5])
    assert (per_frame.low, per_frame.high) == pytest.approx(slow, abs=0.15 * (slow[1] - slow[0]))
    alone = localization(table, table["label"] == 0, {})  # reals alone have no forged pixels, but false alarms
    assert str(alone["pixel_auroc"]) == "-"
    assert alone["pixel_false_alarms_at_half"].low > 0
    assert localization(read_run(write_run(tmp_path / "b", masks=False)).table, everything, {}) == {}


def test_a_person_is_drawn_with_all_videos_and_those_of_nobody_known_or_of_few_people_one_by_one() -> None:
    person = np.array([*"aaabbccddee", "", "", "x", "y", "y"])
    label = np.array([0, 1, 1, *(0, 1) * 4, 0, 0, 0, 1, 1])  # five have both, x reals alone and y fakes alone
    v = Videos(score=np.zeros(16), label=label, method=person, person=person)
    weight = resample(v)
    assert (weight[:, [0, 3, 5, 7, 9]].sum(1) == 5).all()
    for name in "abcde":
        of = weight[:, person == name]
        assert (of == of[:, :1]).all()
    assert (weight[:, 11:14].sum(1) == 3).all()
    assert (weight[:, 14:].sum(1) == 2).all()
    assert (weight[:, 14] != weight[:, 15]).any()
    fewer = v.select(person != "e")
    assert (resample(fewer)[:, 1] != resample(fewer)[:, 2]).any()
    nobody = replace(v, person=None)
    assert (resample(nobody)[:, label == 0].sum(1) == 8).all()


def test_an_interval_of_several_videos_of_each_person_covers_the_truth_too() -> None:
    # videos deviate by 1, people by 2
    true, by_person, by_video = NormalDist().cdf(1 / np.sqrt(2 * (1 + 4))), 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        number = np.repeat(np.arange(40), 8)
        label = number % 2
        v = Videos(
            score=rng.normal(label, 1.0) + rng.normal(0, 2.0, 40)[number],
            label=label,
            method=np.array(["x"] * 320),
            person=number.astype(str),
        )
        found = auroc_interval(v, resample(v, seed))
        by_person += found.low <= true <= found.high
        apart = replace(v, person=None)
        found = auroc_interval(apart, resample(apart, seed))
        by_video += found.low <= true <= found.high
    assert by_person >= 52
    assert by_video <= 42


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:

    true, covered = NormalDist().cdf(1 / np.sqrt(2)), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        label = np.array([0] * 60 + [1] * 60)
        v = Videos(score=rng.normal(label, 1.0), label=label, method=np.array(["x"] * 120))
        found = auroc_interval(v, resample(v, seed))
        covered += found.low <= true <= found.high
    assert covered >= 52
