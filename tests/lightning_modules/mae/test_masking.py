"""Which patches are hidden: blocks, parts of a face, or any."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.runtime.errors import UserError
from datamodules.studio.face import Expression
from lightning_modules.mae import face_parts
from lightning_modules.mae.block_grid import Grid
from lightning_modules.mae.masking import Blocks, Masking, Parts, Scattered
from tests.fixtures.rendering import face_points

SIDE = 14
NOWHERE = torch.zeros(3, 68, 2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def faces(margin: float = 1.3, side: int = SIDE) -> torch.Tensor:
    """(3, 68, 2) a face of the studio in patches: upright, moved a little, turned a little."""
    points = torch.from_numpy(face_points(0, Expression(mouth=0.2))).float()
    low, high = points.amin(0), points.amax(0)
    points = (points - (low + high) / 2) / (high - low).max() / margin
    turned = points @ torch.tensor([[0.98, 0.2], [-0.2, 0.98]])
    return torch.stack([points, points + 0.05, turned]) * side + side / 2


@pytest.mark.parametrize("passes", [16, 8, 4])
def test_blocks_of_a_pass_never_touch_and_all_passes_hide_each_block_once(passes: int) -> None:
    grid = Grid()
    together = grid.group_blocks(passes)
    assert together.shape == (passes, 16 // passes)
    assert sorted(together.flatten().tolist()) == list(range(16))
    for group in together:
        row, column = group // 4, group % 4
        apart = torch.maximum((row[:, None] - row).abs(), (column[:, None] - column).abs())
        assert (apart + 9 * torch.eye(len(group)) >= 2).all()


@pytest.mark.parametrize("passes", [1, 2, 3, 5])
def test_passes_that_would_hide_blocks_side_by_side_are_refused(passes: int) -> None:
    with pytest.raises(UserError, match=rf"passes {passes}: 4 x 4 blocks can be hidden in \[4, 8, 16\]"):
        Blocks(passes=passes)


def test_a_single_block_is_drawn_from_all_hundred_places() -> None:
    first = torch.cat([Blocks().draw(SIDE, torch.zeros(500, 68, 2), seeded(i))[:, 0] for i in range(4)])
    rows, columns = first // SIDE, first % SIDE
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(1, 11))
    assert len(set(first.tolist())) == 100


@given(st.sampled_from([16, 8, 4]), st.integers(0, 10**6))
def test_drawn_blocks_look_like_those_of_testing(passes: int, seed: int) -> None:
    drawn = Blocks(passes=passes).draw(SIDE, NOWHERE, seeded(seed))
    assert drawn.shape == (3, 144 // passes)
    corner = Grid().group_blocks(passes)[0]
    expected = Grid().ids()[corner].flatten()
    for ids in drawn:  # the same pattern, moved as a whole, the border never touched
        assert ((ids - expected) == (ids - expected)[0]).all()
        assert ((ids % SIDE >= 1) & (ids % SIDE <= 12) & (ids >= SIDE) & (ids < SIDE * 13)).all()


@pytest.mark.parametrize(
    "masking",
    [Blocks(), Blocks(passes=4), Scattered(0.75), Scattered(0.2), Parts(), Parts(region="face"), Parts(region="all")],
)
def test_draws_follow_the_generator_and_passes_need_none(masking: Masking) -> None:
    points = faces()
    for seed in range(8):
        ids = masking.draw(SIDE, points, seeded(seed))
        assert torch.equal(ids, masking.draw(SIDE, points, seeded(seed)))
        assert all(len(set(row.tolist())) == ids.shape[1] for row in ids)  # none twice
        assert 0 <= ids.min() <= ids.max() < SIDE**2
    assert not torch.equal(masking.draw(SIDE, points, seeded(1)), masking.draw(SIDE, points, seeded(2)))
    one, other = masking.passes(SIDE, points), masking.passes(SIDE, points)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert all(len(set(row.tolist())) == ids.shape[1] for ids in one for row in ids)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.4, 0.75, 0.999])
def test_a_share_of_all_patches_is_hidden_and_every_patch_in_some_pass(share: float) -> None:
    passes = Scattered(share).passes(SIDE, NOWHERE)
    assert all(ids.shape == (3, min(max(round(share * 196), 1), 195)) for ids in passes)
    assert set(torch.cat([ids[0] for ids in passes]).tolist()) == set(range(196))


def test_parts_have_about_the_sizes_that_the_specification_computed() -> None:
    for margin, eyes, nose in ((1.0, 33, 83), (1.3, 22, 51), (1.5, 14, 40)):
        one = {name: int(inside[0].sum()) for name, inside in face_parts.parts(faces(margin), SIDE).items()}
        assert abs(one["eyes"] - eyes) <= 0.35 * eyes, (margin, one)
        assert abs(one["nose"] - nose) <= 0.35 * nose, (margin, one)
        assert one["lips"] >= 4


def test_no_patch_is_in_two_parts_and_parts_follow_the_face() -> None:
    points = faces()
    inside = torch.stack(list(face_parts.parts(points, SIDE).values()))
    assert inside.sum(0).max() == 1
    moved = torch.stack(list(face_parts.parts(points + torch.tensor([1.0, 0.0]), SIDE).values()))
    assert torch.equal(moved.view(3, 3, SIDE, SIDE)[..., 1:], inside.view(3, 3, SIDE, SIDE)[..., :-1])
    row = torch.arange(SIDE).repeat_interleave(SIDE).float()
    eyes, nose, lips = ((part[0] * row).sum() / part[0].sum() for part in inside)
    assert eyes < nose < lips


def test_every_pass_hides_as_many_patches_as_training_did() -> None:
    parts = Parts(two_parts_probability=0.0)
    passes = parts.passes(SIDE, faces())
    assert sorted(ids.shape[1] for ids in passes) == [16, 28, 40, 40]
    assert {parts.draw(SIDE, faces(), seeded(i)).shape[1] for i in range(20)} == {16, 28, 40}
    assert {Parts(two_parts_probability=1.0).draw(SIDE, faces(), seeded(i)).shape[1] for i in range(20)} == {44, 56, 68}
    for region in ("face", "all"):
        assert sorted(ids.shape[1] for ids in Parts(region=region).passes(SIDE, faces())) == [16, 28, 40, 40]


def test_a_part_is_hidden_before_its_neighbours_and_the_nose_from_both_sides() -> None:
    points = faces()
    inside = face_parts.parts(points, SIDE)
    eyes, left, right, lips = Parts().passes(SIDE, points)
    for name, ids in (("eyes", eyes), ("lips", lips)):
        for i in range(3):
            mine = set(inside[name][i].nonzero().flatten().tolist())
            assert mine <= set(ids[i].tolist()) or set(ids[i].tolist()) <= mine
    assert (left % SIDE).float().mean() < (right % SIDE).float().mean() - 1
    covered = {i for ids in (left, right) for i in ids[0].tolist()}
    assert set(inside["nose"][0].nonzero().flatten().tolist()) <= covered


def test_a_face_outside_the_image_still_gives_a_full_pass() -> None:
    away = faces() + 100
    assert [ids.shape[1] for ids in Parts().passes(SIDE, away)] == [
        ids.shape[1] for ids in Parts().passes(SIDE, faces())
    ]
    assert np.isfinite(face_parts.distance(face_parts.face(away, SIDE), SIDE)).all()
