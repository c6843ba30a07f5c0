"""What is drawn depends on seed, epoch and video, and on nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.loading.sampling import Address, EvalSampler, Faces, TrainSampler
from datamodules.spacing import space_evenly
from tests.fixtures.rows import faces


def some(all_faces: Faces, *names: int) -> Faces:
    kept = [i for i in range(len(all_faces)) if all_faces.number_of(i) in names]
    arrays = {name: getattr(all_faces, name)[kept] for name in ("label", "size", "source")}
    return replace(all_faces, **arrays, number_of=lambda i: all_faces.number_of(kept[i]))


def train(epoch: int = 0, **changes: Any) -> list[Address]:
    options: dict[str, Any] = {"clips_per_face": 4, "batch": 8, "seed": 0} | changes
    sampler = TrainSampler(options.pop("faces", faces()), **options)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert len(drawn) == len(sampler)
    return drawn


@given(st.integers(1, 500), st.integers(2, 64))
def test_even_spacing_has_both_ends_and_no_repeat(length: int, count: int) -> None:
    spaced = space_evenly(length, count)
    assert len(spaced) == len(set(spaced)) == min(length, count)
    assert (spaced[0], spaced[-1]) == (0, length - 1) or length == 1
    steps = np.diff(spaced)
    assert steps.size == 0 or steps.max() - steps.min() <= 1


def test_forty_frames_spaced_to_thirty_two_are_not_the_first_thirty_two() -> None:
    assert space_evenly(40, 32)[-1] == 39


def test_another_epoch_draws_other_frames_and_the_same_epoch_the_same() -> None:
    assert train(0) == train(0)
    assert sorted(train(0)) != sorted(train(1))
    assert train(0) != train(0, seed=1)


def test_the_draws_of_a_video_do_not_depend_on_the_others() -> None:
    few = some(faces(), 1, 101)
    alone = {a.numbers for a in train(faces=few, batch=1, balance=False) if few.number_of(a.face) == 101}
    among = {a.numbers for a in train(batch=1, balance=False) if faces().number_of(a.face) == 101}
    assert alone == among


def test_classes_are_balanced_by_drawing_not_by_repeating() -> None:
    drawn = train()
    labels = Counter(faces().label[a.face] for a in drawn)
    assert abs(labels[0] - labels[1]) <= 8  # the last step is left out
    assert len(set(drawn)) == len(drawn)
    # every real video gives 12 different frames, every fake one 4
    assert max(Counter(a.face for a in drawn if faces().label[a.face] == 0).values()) == 12


def test_where_the_rarer_class_has_too_few_frames_the_other_is_thinned() -> None:
    short = faces(real=2, fake=20, frames=5)
    drawn = train(faces=short, batch=2)
    labels = Counter(short.label[a.face] for a in drawn)
    assert labels[0] == labels[1] == 10
    assert len(set(drawn)) == len(drawn)


def test_a_pair_is_a_fake_and_the_same_frames_of_its_source() -> None:
    all_faces = faces()
    drawn = train(pairs=True)
    assert drawn
    for fake, real in zip(drawn[::2], drawn[1::2], strict=True):
        assert (all_faces.label[fake.face], all_faces.label[real.face]) == (1, 0)
        assert all_faces.source[fake.face] == all_faces.source[real.face]
        assert fake.numbers == real.numbers


@pytest.mark.parametrize("pairs", [False, True])
def test_two_ranks_take_the_same_steps_as_one(pairs: bool) -> None:
    one = train(pairs=pairs)
    ranks = [train(pairs=pairs, rank=rank, world_size=2) for rank in range(2)]
    for step in range(len(one) // 8):
        together = sorted(a for rank in ranks for a in rank[4 * step : 4 * step + 4])
        assert together == sorted(one[8 * step : 8 * step + 8])


def test_evaluation_deals_every_sample_once_and_marks_the_copies() -> None:
    all_faces = faces(real=1, fake=2, frames=7)
    one = list(EvalSampler(all_faces, 3))
    ranks = [list(EvalSampler(all_faces, 3, rank, 2)) for rank in range(2)]
    assert len(one) == 9
    assert [len(rank) for rank in ranks] == [5, 5]
    assert sorted(a for rank in ranks for a in rank if a.is_counted) == sorted(one)


def test_a_clip_is_consecutive_frames() -> None:
    assert replace(faces(), length=4, every=2).clip(3) == (3, 5, 7, 9)


def test_even_spacing_rounds_halves_up_and_takes_the_middle_where_one_is_asked_for() -> None:
    assert space_evenly(10, 4) == [0, 3, 6, 9]
    assert space_evenly(8, 3) == [0, 4, 7]  # 3.5
    assert space_evenly(9, 1) == [4]


def test_videos_draw_apart_in_the_same_epoch() -> None:
    frames: dict[int, set[int]] = {}
    for address in train(clips_per_face=8, balance=False):
        frames.setdefault(address.face, set()).update(address.numbers)
    assert len({frozenset(numbers) for numbers in frames.values()}) == len(frames) == 16


def test_another_epoch_has_another_order_and_leaves_out_clips_of_other_faces() -> None:
    reals, fakes = 5, 12  # ten clips of each real are two too many for the fakes
    epochs = [train(epoch, faces=faces(reals, fakes)) for epoch in range(4)]
    assert all(len(drawn) == 2 * fakes * 4 for drawn in epochs)
    assert len({tuple(one.face for one in drawn) for drawn in epochs}) == 4
    short = [frozenset(i for i in range(reals) if sum(one.face == i for one in drawn) < 10) for drawn in epochs]
    assert all(short)
    assert len(set(short)) > 1


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_batch_of_clips_is_of_as_many_videos_and_each_is_read_for_several_batches(world_size: int) -> None:
    label, batch = np.repeat([0, 1], [720, 2880]).astype(np.int8), 4
    many = Faces(
        label=label,
        size=np.full(3600, 90),
        number_of=lambda i: i,
        source=np.arange(3600) % 720,
        starts=lambda _: np.arange(90),
        all_starts=lambda: (np.repeat(np.arange(3600), 90), np.tile(np.arange(90), 3600)),
    )
    for rank in range(world_size):
        options: dict[str, Any] = {"faces": many, "batch": batch * world_size, "rank": rank, "world_size": world_size}
        drawn = train(run=4, **options)
        batches = np.array([a.face for a in drawn]).reshape(-1, batch)
        assert np.mean([len(set(row)) for row in batches.tolist()]) > 3.9
        assert np.mean([len(set(label[row])) == 1 for row in batches]) < 0.16  # of four draws 0.125
        fetches = batches.reshape(-1, 4 * batch)
        assert np.mean([len(set(row)) for row in fetches.tolist()]) < 1.1 * batch
        assert len(set(drawn)) == len(drawn)


def test_clips_that_are_read_together_are_those_that_would_be_drawn_without_it() -> None:
    assert sorted(train(run=3, batch=2)) == sorted(train(batch=2))
