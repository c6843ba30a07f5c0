"""How several sets share the clips of an epoch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from datamodules.loading.sampling import Address, Faces, TrainSampler, slots


def faces(*sets: tuple[int, int, int]) -> Faces:
    """
    Args:
        sets: Real faces, fake faces and frames of each.
    """
    label = np.concatenate([np.repeat([0, 1], [real, fake]) for real, fake, _ in sets])
    home = np.repeat(np.arange(len(sets)), [real + fake for real, fake, _ in sets])
    size = np.array([frames for _, _, frames in sets])[home]
    every = np.arange(len(label))
    return Faces(
        label=label.astype(np.int8),
        size=size,
        number_of=int,
        source=every,
        starts=lambda i: np.arange(size[i]),
        all_starts=lambda: slots(size),
        set_index=home,
    )


def train(all_faces: Faces, weights: list[float], epoch: int = 0, **changes: Any) -> list[Address]:
    options: dict[str, Any] = {"clips_per_face": 4, "batch": 2, "seed": 0, "weights": weights} | changes
    sampler = TrainSampler(all_faces, **options)
    sampler.set_epoch(epoch)
    return list(sampler)


def drawn(all_faces: Faces, addresses: list[Address]) -> Counter[tuple[int, int]]:
    """Clips of each (set, label)."""
    assert all_faces.set_index is not None
    return Counter((int(all_faces.set_index[a.face]), int(all_faces.label[a.face])) for a in addresses)


def test_weights_are_the_shares_of_the_reals_and_of_the_fakes_of_an_epoch() -> None:
    both = faces((4, 12, 32), (3, 6, 32))
    # alone, the first gives 48 clips of each class, the second 24; 48 is the larger one over its weight
    assert drawn(both, train(both, [1, 2])) == {(0, 0): 48, (0, 1): 48, (1, 0): 96, (1, 1): 96}
    assert drawn(both, train(both, [2, 1])) == {(0, 0): 48, (0, 1): 48, (1, 0): 24, (1, 1): 24}


def test_sets_of_one_class_share_with_those_that_have_it() -> None:
    three = faces((4, 4, 8), (4, 0, 8), (0, 2, 8))
    # alone, the first gives 16 of each class, the second 16 reals, the third 8 fakes; 16 fakes at one in three are 48
    assert drawn(three, train(three, [1, 1, 2])) == {(0, 0): 24, (1, 0): 24, (0, 1): 16, (2, 1): 32}


def test_a_set_alone_or_beside_its_like_draws_what_it_drew_before() -> None:
    alone, both = faces((4, 12, 32)), faces((4, 12, 32), (4, 12, 32))
    own = [a for a in train(both, [1, 1]) if a.face < 16]
    assert sorted(own) == sorted(train(alone, [1]))
    assert sorted(train(alone, [5])) == sorted(train(replace(alone, set_index=None), [1]))


def test_a_face_is_drawn_again_only_once_all_its_clips_were() -> None:
    small = faces((2, 2, 3), (8, 8, 32))
    times = Counter(a for a in train(small, [1, 1]) if a.face < 4)
    # 32 clips of each class of the larger set; the two reals of the other one have 6 clips for as many
    assert sum(times[a] for a in times if a.face < 2) == 32
    assert set(times.values()) <= {5, 6}
    assert len(times) == 12


def test_the_order_of_a_second_pass_over_a_face_is_another_one() -> None:
    one = faces((1, 0, 8), (16, 0, 8))
    sampler = TrainSampler(one, clips_per_face=8, batch=1, seed=0, balance=False, weights=[1, 1])
    passes = [[next(sampler.draw(0, n)).numbers[0] for n in range(8 * k, 8 * k + 8)] for k in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(8))
    assert passes[0] != passes[1]


def test_without_balance_weights_are_shares_of_all_clips() -> None:
    both = faces((2, 6, 8), (4, 4, 8))
    counted = drawn(both, train(both, [1, 3], balance=False))
    assert counted[0, 0] + counted[0, 1] == 32
    assert counted[1, 0] + counted[1, 1] == 96


def test_two_ranks_take_the_steps_of_one_over_several_sets() -> None:
    both = faces((4, 12, 32), (3, 6, 5))
    one = train(both, [1, 2], batch=8)
    ranks = [train(both, [1, 2], batch=8, rank=rank, world_size=2) for rank in range(2)]
    for step in range(len(one) // 8):
        together = sorted(a for rank in ranks for a in rank[4 * step : 4 * step + 4])
        assert together == sorted(one[8 * step : 8 * step + 8])
