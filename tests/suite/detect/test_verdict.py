"""Three verdicts from two thresholds, and how validation did at them, for people to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datamodules.faces.tracking.track import Track
from datamodules.runtime.errors import UserError
from lightning_modules.classifier import Classifier
from lightning_modules.trained_method import Trained
from suite.detect.thresholds import Performance, Rates, Thresholds, format_apart, thresholds_of
from suite.detect.verdict import FaceVerdict, judge_file
from tests.fixtures.detecting import validate

BETWEEN = Thresholds(forged=0.6, unclear=0.3)


def face(number: int, probability: float | None) -> FaceVerdict:
    track = Track(number)
    about: dict[str, Any] = {"first": 0.0, "last": 1.0, "quality": {}, "left_out": {}, "method_verdicts": []}
    reasons = ["too small"] if probability is None else []
    return FaceVerdict(track=track, probability=probability, thresholds=BETWEEN, reasons=reasons, **about)


def method(reals: list[float], fakes: list[float]) -> Trained:
    made = Classifier(backbone="test_resnet").eval()
    validate(made, reals, fakes)
    about: dict[str, Any] = {"model": {}, "contract": {}, "stored": None, "trained_on": ["d/Swap"], "digest": ""}
    return Trained(path=Path("runs/mine"), method=made, **about)


def test_a_probability_that_is_a_threshold_is_not_above_it() -> None:
    assert [BETWEEN.verdict(p) for p in (0.61, 0.6, 0.31, 0.3)] == ["forged", "unclear", "unclear", "no forgery found"]


def test_a_file_is_as_suspicious_as_the_most_suspicious_face_that_can_be_judged() -> None:
    faces = {"real": face(0, 0.1), "none": face(1, None), "unclear": face(2, 0.5), "forged": face(3, 0.9)}
    assert judge_file(list(faces.values()), 0) == ("forged", [])
    assert judge_file([faces["real"], faces["none"], faces["unclear"]], 0) == ("unclear", ["face 1: too small"])
    assert judge_file([faces["real"], faces["none"]], 0) == ("no forgery found", ["face 1: too small"])
    assert judge_file([faces["none"]], 0) == ("no verdict", ["face 1: too small"])


@pytest.mark.parametrize(
    ("forged_fpr", "unclear_fpr", "rule"),
    [
        (0.0, 0.2, "forged_fpr 0: must be above 0 and below 1"),
        (0.05, 1.0, "unclear_fpr 1: must be above 0 and below 1"),
        (0.2, 0.05, r"unclear_fpr 0\.05: must be at least forged_fpr, 0\.2"),
    ],
)
def test_shares_that_are_none_or_the_wrong_way_round_are_refused(
    forged_fpr: float, unclear_fpr: float, rule: str
) -> None:
    with pytest.raises(UserError, match=rule):
        Rates(forged_fpr=forged_fpr, unclear_fpr=unclear_fpr)


def test_what_became_of_validation_is_counted_by_verdict() -> None:
    mine = method([0.3] * 30 + [0.4] * 8 + [0.5] * 2, [0.35] * 10 + [0.45] * 10 + [0.9] * 20)
    did = Performance.measure(mine, Rates())
    assert [(row.reals, row.fakes) for row in did.rows] == [(0, 20), (2, 10), (38, 10)]
    assert [row.range for row in did.rows] == ["above 0.500", "above 0.400, up to 0.500", "up to 0.400"]
    assert (did.false_alarm_rate, did.miss_rate, did.alarm_rate, did.silent_rate) == ("0 %", "50 %", "5 %", "25 %")
    assert did.caution == ""
    assert "0 are called forged and 2 unclear, of 40 forged ones 20 and 10" in did.say()
    wider = Performance.measure(mine, Rates(forged_fpr=0.2, unclear_fpr=0.5))
    assert [row.reals for row in wider.rows] == [2, 8, 30]


def test_a_validation_that_is_too_small_says_so_and_never_says_unclear() -> None:
    did = Performance.measure(method([0.2, 0.1, 0.3], [0.6, 0.25]), Rates())
    assert did.caution == (
        "3 real ones are too few to tell 5 % or 20 %: the threshold is the highest of their scores, which about 1 in "
        "4 others exceeds"
    )
    assert [(row.range, row.reals, row.fakes) for row in did.rows] == [
        ("above 0.300", 0, 1),
        ("never", 0, 0),
        ("up to 0.300", 3, 1),
    ]


def test_thresholds_that_differ_are_shown_with_the_digits_that_tell_them_apart() -> None:
    assert format_apart(0.00012, 0.0004) == ("0.0001", "0.0004")
    assert format_apart(0.3, 0.3) == ("0.300", "0.300")
    assert format_apart(0.25, 0.5) == ("0.250", "0.500")
    mine = method([1e-9 * i for i in range(100)], [0.5])
    point = mine.describe_thresholds()["unclear"]
    assert 0 < point.score == mine.find_point(point.at).threshold


def test_a_method_that_keeps_no_scores_is_refused_with_the_command_that_adds_them() -> None:
    mine = method([0.1], [0.2])
    mine.method.video_counts.fill_(float("nan"))
    command = "python -m suite validate --config runs/mine/config.yaml --ckpt_path runs/mine/checkpoints/best.ckpt"
    with pytest.raises(UserError, match=f"runs/mine: keeps no scores of its validation.*{command}"):
        thresholds_of([mine], Rates())
