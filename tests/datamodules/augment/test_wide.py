"""The further kinds of change do what their names say, to all frames of a clip alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.augment.augment import Augment
from datamodules.augment.wide import WideAugment, blur_along, cut_holes, see_through_glass
from datamodules.batch import Batch
from datamodules.synthesis.base import seed_draws
from tests.conftest import ROOT
from tests.fixtures.augmenting import NONE
from tests.fixtures.configs import read_config
from tests.fixtures.noise import clips

KINDS = ("gamma", "motion", "local_contrast", "shuffle", "cutout", "glass")
STILL: dict[str, Any] = NONE | dict.fromkeys(KINDS, 0.0)


def change(batch: Batch, **given: Any) -> Tensor:
    with seed_draws(0):
        return WideAugment(**STILL | given)(batch).frames


@pytest.fixture
def batch() -> Batch:
    return clips(2, 2)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_changes_the_image_and_the_same_seed_the_same_way(name: str, batch: Batch) -> None:
    batch.frames = batch.frames[:, :1].expand(-1, 2, -1, -1, -1).clone()
    before = batch.frames.clone()
    first = change(batch, **{name: 1.0}).clone()
    assert (first - before).abs().mean() > 1e-3
    assert 0 <= first.min() <= first.max() <= 1
    torch.testing.assert_close(first[:, 0], first[:, 1])  # one draw for a clip
    batch.frames = before.clone()
    torch.testing.assert_close(change(batch, **{name: 1.0}), first)


def test_without_a_kind_it_is_the_plain_augmentation(batch: Batch) -> None:
    before = batch.frames.clone()
    torch.testing.assert_close(change(batch, colour=1.0, flip=1.0).clone(), plain(before, batch, colour=1.0, flip=1.0))


def plain(frames: Tensor, batch: Batch, **given: Any) -> Tensor:
    batch.frames = frames.clone()
    with seed_draws(0):
        return Augment(**NONE | given)(batch).frames


def test_holes_are_black_squares_of_their_side() -> None:
    torch.manual_seed(0)
    out = cut_holes(torch.ones(1, 3, 256, 256), 8, 8)
    assert 0 < (out == 0).sum() <= 8 * 64 * 3
    assert ((out == 0) | (out == 1)).all()
    one = cut_holes(torch.ones(1, 1, 64, 64), 1, 8)[0, 0] == 0
    rows, columns = one.any(1).nonzero().flatten(), one.any(0).nonzero().flatten()
    assert (len(rows), len(columns), int(one.sum())) == (8, 8, 64)


def test_a_blur_along_a_line_keeps_the_sum_and_spreads_along_it_alone() -> None:
    image = torch.zeros(1, 1, 33, 33)
    image[..., 16, 16] = 1
    out = blur_along(image, 8.0, 0.0)[0, 0]
    assert out.sum() == pytest.approx(1, abs=1e-3)
    assert out[16].sum() == pytest.approx(1, abs=1e-3)
    assert (out[16] > 0.02).sum().item() == pytest.approx(8, abs=1)


def test_behind_glass_a_pixel_is_one_from_nearby() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 256, 256)
    out = see_through_glass(ramp, 0.05, 4)
    moved = (out - ramp)[..., 8:-8].abs() * 255
    assert 1 < moved.mean() < 4
    assert moved.max() <= 4.01


def test_gamma_and_the_order_of_channels_are_exact(batch: Batch) -> None:
    before = batch.frames.clone()
    torch.testing.assert_close(change(batch, gamma=1.0, gammas=(2.0, 2.0)), before**2)
    batch.frames = before.clone()
    shuffled = change(batch, shuffle=1.0)
    for one, other in zip(shuffled.flatten(0, 1), before.flatten(0, 1), strict=True):
        assert torch.equal(one.flatten(1).sort(0).values, other.flatten(1).sort(0).values)


def test_effort_is_trained_with_the_changes_of_its_specification() -> None:
    given = read_config(ROOT / "configs/classifier_effort.yaml")["data"]["augment"]
    made = WideAugment(**given["init_args"])
    expected = {"flip": 0.5, "colour": 0.5, "brightness": 0.2, "contrast": 0.2, "jpeg": 0.1, "quality": (40, 100)}
    expected |= {"noise": 0.1, "motion": 0.1, "local_contrast": 0.1, "shuffle": 0.1, "cutout": 0.1, "gamma": 0.3}
    expected |= {"glass": 0.3, "holes": 8, "hole": 8, "affine": 0.0, "blur": 0.0, "rescale": 0.0}
    assert {name: getattr(made, name) for name in expected} == expected
