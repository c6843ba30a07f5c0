"""Faces recovered from their visible parts: blocks, the autoencoder, and what differs from the recovered."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules.mae.block_grid import Grid
from lightning_modules.mae.network import MAE, positions
from lightning_modules.mae.reconstruction import reconstruct, residual
from lightning_modules.rffr.network import RFFRNetwork


def tiny(size: int = 64) -> MAE:
    torch.manual_seed(0)
    return MAE(size, 8, 48, 2, 3, 32, 1, 2).eval()


GRID = Grid(patches=8, block=2)


def test_the_published_blocks_tile_all_but_the_border() -> None:
    ids = Grid().ids()
    assert ids.shape == (16, 9)
    assert ids[0].tolist() == [15, 16, 17, 29, 30, 31, 43, 44, 45]
    assert sorted(ids.flatten().tolist()) == [r * 14 + c for r in range(1, 13) for c in range(1, 13)]


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2))
def test_blocks_never_meet(block: int, side: int, border: int) -> None:
    grid = Grid(patches=block * side + 2 * border, block=block, border=border)
    ids = grid.ids().flatten().tolist()
    assert len(set(ids)) == len(ids) == (block * side) ** 2


def test_blocks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="blocks of 5 patches: do not tile 14 less a border of 1"):
        Grid(block=5)
    with pytest.raises(UserError, match="grid of 14 patches a side: the generator has 8"):
        RFFRNetwork("vit_tiny_patch16_224", generator=tiny())


def test_patches_become_the_image_that_they_were_cut_from() -> None:
    mae, images = tiny(), torch.rand(2, 3, 64, 64)
    patches = mae.patchify(images)
    assert torch.equal(mae.unpatchify(patches), images)
    assert torch.equal(patches[1, 9].view(8, 8, 3), images[1, :, 8:16, 8:16].permute(1, 2, 0))


def test_positions_say_the_column_first_and_nothing_of_the_class() -> None:
    table = positions(16, 4)[0]
    assert not table[0].any()
    grid = table[1:].view(4, 4, 16)
    assert torch.equal(grid[0, :, :8], grid[3, :, :8])
    assert torch.equal(grid[:, 0, 8:], grid[:, 3, 8:])
    column = torch.arange(4.0)[:, None] * 10000 ** (-torch.arange(4) / 4)
    torch.testing.assert_close(grid[0, :, :8], torch.cat([column.sin(), column.cos()], 1))


def test_what_is_hidden_is_recovered_from_the_rest_alone() -> None:
    mae, images = tiny(), torch.rand(2, 3, 64, 64)
    hidden = GRID.ids()[[4, 7]]
    before = mae(mae.embed(images), hidden)
    patches = mae.patchify(images)
    for i in range(2):
        patches[i, hidden[i]] = 0.5
    changed = mae.unpatchify(patches)
    assert torch.equal(mae(mae.embed(changed), hidden), before)
    shown = images.clone()
    shown[:, :, :8] = 0.5
    assert not torch.equal(mae(mae.embed(shown), hidden), before)


def test_the_order_of_the_hidden_patches_is_that_of_the_answer() -> None:
    mae, images = tiny(), torch.rand(1, 3, 64, 64)
    hidden = GRID.ids()[:1]
    back = hidden.flip(1)
    torch.testing.assert_close(mae(mae.embed(images), back), mae(mae.embed(images), hidden).flip(1))


def alone(blocks: Tensor, b: int) -> list[Tensor]:
    return [one.expand(b, -1) for one in blocks]


def test_a_residual_is_zero_outside_its_blocks_and_each_block_is_recovered_alone() -> None:
    mae, images = tiny(), torch.rand(2, 3, 64, 64)
    blocks = GRID.ids()[[0, 5]]
    given = blocks.clone()
    rest = residual(mae, images, alone(blocks, 2))
    assert torch.equal(blocks, given)  # released code counts them up
    known = mae.patchify(rest)
    outside = torch.ones(64, dtype=torch.bool)
    outside[blocks.flatten()] = False
    assert not known[:, outside].any()
    assert known[:, ~outside].any()
    whole, times = reconstruct(mae, images, alone(blocks, 2))
    assert torch.equal(times.bool(), ~outside.expand(2, -1))
    first, _ = reconstruct(mae, images, alone(blocks[:1], 2))
    torch.testing.assert_close(whole[:, :, 8:24, 8:24], first[:, :, 8:24, 8:24])
    assert torch.equal(rest, (4 * (whole - images)).clamp(-1, 1))


def test_what_two_passes_recover_is_averaged() -> None:
    mae, images = tiny(), torch.rand(2, 3, 64, 64)
    one, other = torch.tensor([[9, 10]] * 2), torch.tensor([[10, 20, 30]] * 2)
    whole, times = reconstruct(mae, images, [one, other])
    assert times[0, [9, 10, 20, 0]].tolist() == [1, 2, 1, 0]
    each = torch.stack([mae.patchify(reconstruct(mae, images, [ids])[0])[:, 10] for ids in (one, other)])
    torch.testing.assert_close(mae.patchify(whole)[:, 10], each.mean(0))


def test_the_generator_learns_nothing_from_the_detector() -> None:
    network = RFFRNetwork("vit_tiny_patch16_224", grid=Grid(patches=8, block=2), generator=tiny(64))
    logits, _ = network(torch.rand(2, 3, 64, 64), torch.tensor([0, 3]))
    logits.sum().backward()
    assert all(p.grad is None for p in network.generator.parameters())
    assert all(p.grad is not None for p in network.branches.parameters())
