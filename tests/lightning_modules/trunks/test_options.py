"""What small presets ask of a pretrained trunk that the published networks do not: momentum, stride, convolutions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from datamodules.runtime.errors import UserError
from lightning_modules.laa_net.method import LAANet
from lightning_modules.lae.method import LAE
from lightning_modules.mae.block_grid import Grid
from lightning_modules.mae.network import MAE
from lightning_modules.rffr.method import RFFR
from lightning_modules.rffr.network import RFFRNetwork


def detector(branch: str, compat: bool = False) -> RFFRNetwork:
    generator = MAE(64, 8, 32, 1, 1, 32, 1, 1)
    return RFFRNetwork(branch, grid=Grid(patches=8, block=2, border=0), generator=generator, compat=compat).eval()


def test_a_convolutional_branch_sees_nothing_of_blocks_that_are_not_shown() -> None:
    network = detector("test_resnet")
    images, blocks = torch.rand(2, 3, 64, 64), torch.tensor([0, 5])
    is_shown = network.select_residual(torch.ones_like(images), blocks) > 0
    assert is_shown.float().mean() == 2 / 16
    rest = network.residual(images, blocks)
    with torch.inference_mode():
        before = network.features(images, rest, blocks)
        others = network.features(torch.where(is_shown, images, 1 - images), rest, blocks)
        shown = network.features(torch.where(is_shown, 1 - images, images), rest, blocks)
        other_rest = network.features(images, torch.where(is_shown, rest, rest + 1), blocks)
    assert torch.equal(before, others)
    assert torch.equal(before, other_rest)
    assert not torch.allclose(before, shown)


def test_the_read_out_of_released_code_is_refused_of_a_convolutional_branch() -> None:
    with pytest.raises(
        UserError, match="compat: the read-out of released code is that of a transformer, not of branch"
    ):
        detector("test_resnet", compat=True)


def test_a_convolutional_branch_is_trained_on_all_that_it_is_tested_on() -> None:
    made: dict[str, Any] = {"generator": MAE(64, 8, 32, 1, 1, 32, 1, 1), "grid": Grid(patches=8, block=2, border=0)}
    with pytest.raises(UserError, match=r"shown_probability 0\.25: must be 1 with a convolutional branch"):
        RFFR("test_resnet", **made)
    assert RFFR("test_resnet", shown_probability=1.0, **made).network.is_convolutional
    assert not RFFR("test_vit", **made).network.is_convolutional


def test_a_trunk_of_a_finer_stride_gives_attention_more_places() -> None:
    frames = torch.rand(1, 1, 3, 64, 64)
    side = {
        stride: LAE(size=64, trunk="test_efficientnet", stride=stride, widths=[8, 16]).eval()(frames).encoded.features
        for stride in (None, 16)
    }
    assert [tuple(features.shape[2:]) for features in side.values()] == [(2, 2), (4, 4)]
    with pytest.raises(UserError, match=r"stride 16: is that of a timm model; give --model\.trunk"):
        LAE(size=64, stride=16)
    with pytest.raises(UserError, match="stride 16: trunk 'test_vit' cannot be had with it"):
        LAE(size=64, trunk="test_vit", stride=16)


def test_the_momentum_of_a_trunk_can_be_chosen() -> None:
    model = LAANet(trunk="test_efficientnet", padding_side=None, size=64, momentum=0.3)
    norms = [m for m in model.network.trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {0.3}
    for wrong in (0.0, 1.5):
        with pytest.raises(UserError, match=rf"momentum {wrong:g}: must be above 0 and at most 1"):
            LAANet(trunk="test_efficientnet", padding_side=None, size=64, momentum=wrong)
