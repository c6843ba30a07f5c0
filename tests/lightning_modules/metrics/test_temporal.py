"""AP and AR of segments of time, against a case that was worked out by hand and against torchvision's boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from lightning_modules.metrics.temporal import TimedVideo, find_stretches, match, measure, overlap, propose


def timed(proposals: list[tuple[float, float, float]], *truths: tuple[float, float], person: str = "") -> TimedVideo:
    return TimedVideo(
        proposals=np.array(proposals, np.float64).reshape(-1, 3),
        truths=np.array(truths, np.float64).reshape(-1, 2),
        person=person,
    )


def test_two_videos_worked_out_by_hand() -> None:
    forged = timed([(0.9, 0, 10), (0.8, 20, 28.1), (0.7, 0, 9)], (0, 10), (20, 30))
    real = timed([(0.85, 0, 5)])
    found = measure([forged, real], 50)
    # in falling order: found, false, found at an IoU of up to 0.81, false since its segment is found already
    assert found["time_ap_at_50"].value == pytest.approx((1 + 2 / 3) / 2)
    assert found["time_ap_at_75"].value == pytest.approx((1 + 2 / 3) / 2)
    assert found["time_ap_at_95"].value == pytest.approx(1 / 2)
    for most in (100, 50, 20, 10):  # one segment at all ten IoUs, one at those from 0.5 to 0.8
        assert found[f"time_ar_of_{most}"].value == pytest.approx((10 + 7) / 20)


def test_recall_counts_the_best_proposals_of_each_video_alone() -> None:
    wrong = [(1 - i / 100, 50.0 + i, 51.0 + i) for i in range(15)]
    found = measure([timed([*wrong, (0.1, 0, 10)], (0, 10)), timed([(0.01, 0, 10)], (0, 10))], 0)
    assert found["time_ar_of_10"].value == pytest.approx(1 / 2)
    assert found["time_ar_of_20"].value == 1
    assert math.isnan(found["time_ar_of_20"].low)


def test_a_precision_is_the_best_at_its_recall_or_a_higher_one() -> None:
    # false, found, found: precisions 1/2 and 2/3, of which the second counts for both
    found = measure([timed([(0.9, 90, 91), (0.8, 0, 1), (0.7, 2, 3)], (0, 1), (2, 3))], 0)
    assert found["time_ap_at_50"].value == pytest.approx(2 / 3)
    tied = measure([timed([(0.5, 90, 91), (0.5, 0, 1)], (0, 1)), timed([])], 0)
    assert tied["time_ap_at_50"].value == pytest.approx(1 / 2)  # whichever is listed first
    assert measure([timed([], (0, 1))], 0)["time_ap_at_50"].value == 0
    assert measure([timed([(0.5, 0, 1)])], 10) == {}


def test_overlaps_are_those_of_boxes_of_one_height() -> None:
    rng = np.random.default_rng(0)
    spans = np.sort(rng.uniform(0, 10, (40, 2)), axis=1)
    boxes = torch.from_numpy(np.stack([spans[:, 0], 0 * spans[:, 0], spans[:, 1], 0 * spans[:, 1] + 1], 1))
    assert overlap(spans[:30], spans[30:]) == pytest.approx(box_iou(boxes[:30], boxes[30:]).numpy())


def test_a_segment_is_found_once_by_the_surest_proposal() -> None:
    iou = np.array([[0.6, 0.0], [0.9, 0.55], [0.2, 0.7]])
    assert match(iou, 0.5).tolist() == [True, True, False]
    assert match(iou, 0.65).tolist() == [False, True, True]


def test_stretches_are_above_a_level_that_their_neighbours_are_below() -> None:
    assert set(find_stretches(np.array([1.0, 3, 2, 0, 3, 3]))) == {(1, 1), (4, 5), (1, 2), (0, 2), (0, 5)}
    assert find_stretches(np.array([2.0, 2, 2])) == [(0, 2)]
    rng = np.random.default_rng(0)
    score = rng.integers(0, 5, 40).astype(float)
    expected = set()
    for level in set(score.tolist()):
        above = np.concatenate([[False], score >= level, [False]])
        starts, ends = np.flatnonzero(above[1:] & ~above[:-1]), np.flatnonzero(above[:-1] & ~above[1:])
        expected |= set(zip(starts.tolist(), (ends - 1).tolist(), strict=True))
    assert set(find_stretches(score)) == expected


def test_the_surest_proposal_is_what_stands_out() -> None:
    score = np.full(20, 0.1)
    score[5:10] = 0.9
    first = propose(score, np.arange(20) / 2, 10.0)[0]
    # from half way between frames 4 and 5 to half way between 9 and 10
    assert first.tolist() == pytest.approx([0.8, 2.25, 4.75])
    whole = propose(np.full(4, 0.7), np.arange(4.0), 4.0)
    assert whole.tolist() == [pytest.approx([0.7, 0, 4])]


def test_intervals_hold_the_value_and_are_wider_of_fewer_videos() -> None:
    rng = np.random.default_rng(1)
    videos = [timed([(float(rng.uniform()), 0, 10 * float(rng.uniform(0.5, 1)))], (0, 10)) for _ in range(60)]
    wide, narrow = (measure(videos[:n], 200)["time_ar_of_10"] for n in (10, 60))
    assert narrow.low < narrow.value < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_copies_of_the_videos_of_each_person_do_not_narrow_intervals() -> None:
    def list_videos(copies: int) -> list[TimedVideo]:
        found, missed = [(0.9, 0.0, 10.0)], [(0.9, 90.0, 91.0)]
        return [timed(found if i % 2 else missed, (0, 10), person=f"d/{i}") for i in range(20) for _ in range(copies)]

    once, often = (measure(list_videos(copies), 200) for copies in (1, 4))
    assert once["time_ar_of_10"] == often["time_ar_of_10"]
    assert once["time_ap_at_50"].low < once["time_ap_at_50"].high
    assert once["time_ap_at_50"] == often["time_ap_at_50"]


def test_each_resample_has_as_many_forged_videos_as_there_are() -> None:
    # 20 false proposals above 20 that find their segments: a precision of a half, whichever videos are drawn
    videos = [timed([(0.5, 0, 10)], (0, 10)) if i % 2 else timed([(0.9, 0, 5)]) for i in range(40)]
    found = measure(videos, 200)["time_ap_at_50"]
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)
