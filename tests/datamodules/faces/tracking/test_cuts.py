"""Cuts are found, and nothing else is taken for one."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.studies import staging
from benchmarks.studies.staging import Image, Staged
from datamodules.faces.tracking.cuts import Cuts

SETS = [11, 12, 13, 14, 15, 17, 18]


def shots(frames: Iterable[Image]) -> list[int]:
    cuts = Cuts()
    return [cuts.update(frame) for frame in frames]


def changes(numbers: list[int]) -> list[int]:
    return [i for i, (before, after) in enumerate(pairwise(numbers), 1) if before != after]


@functools.cache
def shot(place: int, length: int = 12) -> Staged:
    return staging.one_shot(place % 8, length, 1000 + SETS[place], SETS[place])


def test_every_cut_between_shots_of_one_face_in_one_place_is_found_and_nothing_else() -> None:
    right = found = wanted = 0
    for one in range(len(SETS)):
        for other in (one + 1, one + 3):
            staged = (shot(one) + shot(other % len(SETS))).encode()
            numbers = changes(shots(staged.frames))
            right += len(set(numbers) & set(staged.cuts))
            found += len(numbers)
            wanted += len(staged.cuts)
    precision, recall = right / found, right / wanted
    assert (precision, recall) == (1, 1)


@pytest.mark.parametrize("speed", [6, 14, 24])
def test_a_fast_pan_is_no_cut(speed: int) -> None:
    for place in range(3):
        assert set(shots(staging.pan(shot(place, 24), speed, 220).encode().frames)) == {0}


def test_what_passes_before_the_camera_is_no_cut() -> None:
    for staged in (
        staging.stage_hidden(3, 1.0),
        staging.stage_hidden(1, 0.5, True),
        staging.stage_replaced(1, 2),
        staging.stage_crossing(1, 4),
    ):
        assert set(shots(staged.frames)) == {0}


@pytest.mark.parametrize("gain", [1.6, 4.0, 0.0])
def test_after_a_flash_or_black_frames_it_is_the_shot_of_before(gain: float) -> None:
    for place in (0, 3, 4):
        numbers = shots(staging.flash(shot(place, 24), 10, 3, gain).frames)
        assert set(numbers[:10] + numbers[13:]) == {0}


def test_a_shot_that_comes_back_later_is_another() -> None:
    frames = shot(0).frames + [shot(1, 24).frames[i % 24] for i in range(30)] + shot(0).frames
    assert [numbers for i, numbers in enumerate(shots(frames)) if i in (0, 12, 41, 42, 53)] == [0, 1, 1, 2, 2]


def test_images_of_one_colour_have_no_cut_between_them() -> None:
    assert shots([np.full((90, 160, 3), value, np.uint8) for value in (90, 92, 91)]) == [0, 0, 0]
    assert shots([np.full((4, 4, 3), value, np.uint8) for value in (10, 200)]) == [0, 1]
