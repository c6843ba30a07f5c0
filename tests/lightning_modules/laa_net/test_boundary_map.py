"""What the map of LAA-Net says, of heads that are written down."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_modules.laa_net.boundary_map import boundary_logit
from lightning_modules.laa_net.network import LAAHeads

ROW, SIDE = 5, 8


def heads(point: float, other: float, weak: Tensor) -> LAAHeads:
    """The embedding of one row agrees with itself and with no other place.

    Args:
        point: Logit of the vulnerable point on that row.
        other: Logit of another place, elsewhere.
        weak: (C,) embedding of that place.
    """
    points = torch.full((1, 1, SIDE, SIDE), -6.0)
    points[0, 0, ROW, 3], points[0, 0, 1, 1] = point, other
    embedding = torch.zeros(1, 16, SIDE, SIDE)
    embedding[0, 0] = -4.0
    embedding[0, 0, ROW] = 4.0
    embedding[0, :, 1, 1] = weak
    return LAAHeads(points=points, label=torch.zeros(1), embedding=embedding)


def on(map: Tensor) -> list[int]:
    """Rows of which a pixel is likelier than not on the boundary."""
    return (map[0] > 0).any(1).nonzero().flatten().tolist()


def test_the_map_is_seen_from_the_point_that_agrees_with_itself_though_another_is_likelier() -> None:
    # the points of other quadrants are learnt as points, too, but nothing is learnt of what agrees with them
    map = boundary_logit(heads(point=1.5, other=2.0, weak=torch.linspace(-0.5, 0.5, 16)))
    assert on(map) == [ROW]
    assert (map[0, ROW] > 0).all()


def test_what_agrees_with_itself_but_is_no_point_is_not_where_the_map_is_seen_from() -> None:
    assert on(boundary_logit(heads(point=2.0, other=-6.0, weak=torch.full((16,), -4.0)))) == [ROW]


def test_a_map_says_that_there_is_a_point_and_that_a_place_agrees_with_it() -> None:
    map = boundary_logit(heads(point=0.5, other=-6.0, weak=torch.zeros(16))).sigmoid()
    is_point = torch.tensor(0.5).sigmoid()
    for row, agreement in ((ROW, 4.0), (0, -4.0)):  # 16 / 4: products of embeddings over the root of their length
        assert float(map[0, row, 7]) == pytest.approx(float(is_point * torch.tensor(agreement).sigmoid()), rel=1e-5)


def test_a_face_without_any_point_has_an_empty_map_whatever_its_places_agree_with() -> None:
    assert on(boundary_logit(heads(point=-3.0, other=-6.0, weak=torch.zeros(16)))) == []


@pytest.mark.parametrize("sure", [-200.0, 200.0])
def test_a_map_is_finite_where_the_heads_are_sure(sure: float) -> None:
    said = heads(point=0.0, other=0.0, weak=torch.zeros(16))
    said.points.fill_(sure)
    said.embedding.mul_(25)
    assert boundary_logit(said).isfinite().all()
