"""Targets and losses of LAA-Net against loops that follow the specification word by word."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lightning_modules.laa_net.losses import consistency, focal
from lightning_modules.laa_net.targets import Targets, draw, encode, find_vulnerable, list_vulnerable, radius
from tests.fixtures.counting import Operations


def walk(line: NDArray[np.int64], start: int, step: int) -> int:
    count, i = 0, start
    while (
        -len(line) <= i < len(line) and line[i] > 128
    ):  # a negative place is counted from the end, as the released code does
        count, i = count + 1, i + step
    return count


def size(line: NDArray[np.int64], start: int, compat: bool) -> int:
    if line[start] <= 128:
        return 0
    before = walk(line, start, -1) if compat else walk(line[: start + 1][::-1], 0, 1)
    return before + walk(line, start, 1)


def rule(v: int, h: int) -> float:
    o, s, a = 0.7, h + v, h * v
    r1 = (s + math.sqrt(s**2 - 4 * a * (1 - o) / (1 + o))) / 2
    r2 = (2 * s + math.sqrt(4 * s**2 - 16 * (1 - o) * a)) / 2
    r3 = (-2 * o * s + math.sqrt(4 * o**2 * s**2 + 16 * o * (1 - o) * a)) / 2
    return min(r1, r2, r3)


def by_hand(t: NDArray[np.int64], compat: bool) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Heat map, consistency and anchor of one (h, w) boundary."""
    h, w = t.shape
    heat, agree = np.zeros((h, w)), np.zeros((h, w))
    for ys in (slice(0, h // 2), slice(h // 2, h)):
        for xs in (slice(0, w // 2), slice(w // 2, w)):
            top = t[ys, xs].max()
            if top == 0:
                continue
            agree[ys, xs] = (255 - np.abs(t.max() - t[ys, xs])) / 255
            for y in range(ys.start, ys.stop):
                for x in range(xs.start, xs.stop):
                    if t[y, x] != top:
                        continue
                    sigma = rule(size(t[:, x], y, compat), size(t[y], x, compat)) / 3 + 1e-4
                    reach = 3 * sigma
                    cy, cx = y, x
                    if compat:
                        cy, cx = (math.trunc(i - reach) + math.floor(reach + 0.5) for i in (y, x))
                    for yy in range(h):
                        for xx in range(w):
                            if abs(yy - cy) <= reach and abs(xx - cx) <= reach:
                                value = math.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / (2 * sigma**2))
                                heat[yy, xx] = max(heat[yy, xx], value)
    return heat, agree, int(agree.argmax())


def blob(seed: int, side: int = 16) -> NDArray[np.int64]:
    """A soft ring, as the boundary of a mask is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    cy, cx = rng.uniform(3, side - 3, 2)
    r, width = rng.uniform(2, side / 2), rng.uniform(1, 4)
    m = 1 / (1 + np.exp((np.hypot(y - cy, x - cx) - r) / width))
    return (255 * 4 * m * (1 - m)).astype(np.int64)


@pytest.mark.parametrize("compat", [False, True])
@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_targets_are_those_of_the_specification(compat: bool, seed: int) -> None:
    boundaries = np.stack([blob(seed), np.zeros((16, 16), np.int64), blob(seed + 1)])
    got = encode(torch.from_numpy(boundaries), compat)
    for i, boundary in enumerate(boundaries):
        heat, agree, anchor = by_hand(boundary, compat)
        assert np.abs(got.heat[i, 0].numpy() - heat).max() < 1e-6
        assert np.array_equal(got.consistency[i].numpy(), agree.astype(np.float32))
        assert got.anchor[i] == anchor


def test_a_real_image_has_no_point_no_consistency_and_its_anchor_in_the_corner() -> None:
    targets = encode(torch.zeros(2, 8, 8, dtype=torch.int64))
    assert not targets.heat.any()
    assert not targets.consistency.any()
    assert targets.anchor.tolist() == [0, 0]


def test_the_radius_of_a_square_and_of_an_oblong_are_the_known_ones() -> None:
    assert float(radius(torch.tensor(10), torch.tensor(10))) == pytest.approx(2.733, abs=1e-3)
    assert float(radius(torch.tensor(4), torch.tensor(20))) == pytest.approx(1.893, abs=1e-3)


def test_fixed_peaks_lie_on_the_points_and_released_ones_often_beside() -> None:
    boundary = torch.from_numpy(np.stack([blob(i, 48) for i in range(20)]))
    fixed, released = encode(boundary), encode(boundary, compat=True)
    top = torch.zeros_like(boundary)
    for y in (slice(0, 24), slice(24, 48)):
        for x in (slice(0, 24), slice(24, 48)):
            part = boundary[:, y, x]
            top[:, y, x] = (part == part.amax((1, 2), keepdim=True)) & (part > 0)
    assert torch.equal(fixed.heat[:, 0] == 1, top.bool())
    assert not torch.equal(released.heat[:, 0] == 1, top.bool())


def test_losses_are_those_of_the_formulas() -> None:
    torch.manual_seed(0)
    logit, embedding = torch.randn(2, 1, 16, 16, dtype=torch.float64), torch.randn(2, 8, 16, 16, dtype=torch.float64)
    targets = encode(torch.from_numpy(np.stack([blob(3), np.zeros((16, 16), np.int64)])))
    heat = targets.heat.double().numpy()
    p = np.clip(1 / (1 + np.exp(-logit.numpy())), 1e-4, 1 - 1e-4)
    positive = 0.72 * sum((1 - v) ** 2 * math.log(v) for v in p[heat == 1])
    negative = sum((1 - g) ** 4 * v**2 * math.log(1 - v) for g, v in zip(heat[heat < 1], p[heat < 1], strict=True))
    expected = -(positive + negative) / (heat == 1).sum()
    assert float(focal(logit, targets.heat.double())) == pytest.approx(expected, rel=1e-10)

    total = 0.0
    for b in range(2):
        flat = embedding[b].flatten(1).numpy()
        s = 1 / (1 + np.exp(-(flat.T @ flat[:, int(targets.anchor[b])]) / math.sqrt(8)))
        c = targets.consistency[b].flatten().double().numpy()
        total += float(-(c * np.log(s) + (1 - c) * np.log(1 - s)).mean()) / 2
    doubled = Targets(heat=targets.heat, consistency=targets.consistency.double(), anchor=targets.anchor)
    assert float(consistency(embedding, doubled)) == pytest.approx(total, rel=1e-9)


def test_without_any_point_the_heat_loss_is_a_plain_sum() -> None:
    logit = torch.zeros(1, 1, 4, 4)
    assert float(focal(logit, torch.zeros(1, 1, 4, 4))) == pytest.approx(16 * 0.25 * math.log(2))


@pytest.mark.parametrize("compat", [False, True])
def test_a_gpu_draws_the_same_heat_maps_without_asking_how_many_points_there_are(compat: bool) -> None:
    boundary = torch.from_numpy(np.stack([blob(i, 48) for i in range(12)] + [np.zeros((48, 48), np.int64)] * 4))
    heat = draw(boundary, find_vulnerable(boundary, compat), compat)
    assert torch.equal(draw(boundary, list_vulnerable(boundary, compat), compat), heat)
    assert heat[:12].any()
    assert not heat[12:].any()


def test_a_boundary_with_more_points_than_there_is_room_for_is_drawn_as_far_as_it_goes() -> None:
    boundary = torch.full((1, 16, 16), 255)
    listed_heat, heat = (draw(boundary, of(boundary), False) for of in (list_vulnerable, find_vulnerable))
    assert (heat == 1).all()
    assert int((listed_heat == 1).sum()) == 16 * 16 // 32


@pytest.mark.parametrize("b", [2, 64])
def test_targets_take_as_many_operations_for_every_batch_and_no_wait(b: int) -> None:
    boundary = torch.zeros(b, 96, 96, device="meta")
    encode(boundary)  # constants are made once
    with Operations() as seen:
        encode(boundary)
    assert seen.total <= 90
