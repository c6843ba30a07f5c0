"""What a pair is cut to: against OpenCV, and the places that released code keeps."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import Framing, Shape, apply_shape, draw_shape


def image(height: int = 60, width: int = 60) -> torch.Tensor:
    """(1, 3, H, W) bytes, none of them black."""
    smooth = cv2.resize(np.random.default_rng(0).uniform(20, 255, (12, 12, 3)), (width, height))
    return torch.from_numpy(smooth.clip(20, 255)).to(torch.uint8).permute(2, 0, 1)[None].contiguous()


def through(x: torch.Tensor, shape: Shape, compat: bool = False, side: int = 96) -> torch.Tensor:
    out = x.new_full((*x.shape[:2], side, side), 7)
    apply_shape(x, shape, compat, out)
    return out


def by_opencv(x: torch.Tensor, side: int = 96) -> np.ndarray:
    """The similarity of the specification: centre to centre, corners to corners along the longer side, black beyond."""
    h, w = x.shape[-2:]
    scale = (side - 1) / (max(h, w) - 1)
    matrix = np.array([[scale, 0, (side - 1 - (w - 1) * scale) / 2], [0, scale, (side - 1 - (h - 1) * scale) / 2]])
    warped: np.ndarray = cv2.warpAffine(x[0].permute(1, 2, 0).numpy(), matrix, (side, side), flags=cv2.INTER_LINEAR)
    return warped


def test_a_square_is_warped_as_opencv_warps_it() -> None:
    x = image()
    difference = np.abs(through(x, Shape())[0].permute(1, 2, 0).numpy().astype(int) - by_opencv(x).astype(int))
    assert difference.max() <= 2
    assert difference.mean() < 0.5


def test_a_crop_that_is_not_square_gets_black_bars_on_both_sides() -> None:
    x = image()
    ours = through(x, Shape(crop=(3, 10, 51, 40)))[0].permute(1, 2, 0).numpy().astype(int)
    theirs = by_opencv(x[..., 3:54, 10:50].contiguous()).astype(int)
    inside = np.ones(96, bool)
    edge = np.flatnonzero(np.diff((theirs.sum((0, 2)) > 0).astype(int)))
    for column in edge:
        inside[max(0, column - 1) : column + 3] = False  # half a pixel is rounded there
    assert np.abs(ours - theirs)[:, inside].mean() < 4
    assert not ours[:, :9].any()
    assert not ours[:, -9:].any()


def test_what_is_left_of_a_crop_is_stretched_to_a_square_without_bars() -> None:
    x = image(40, 60)
    ours = through(x, Shape())
    theirs = cv2.resize(x[0].permute(1, 2, 0).numpy(), (96, 96))  # edges to edges, not corners to corners
    assert (ours >= 20).all()
    assert np.abs(ours[0].permute(1, 2, 0).numpy().astype(int) - theirs.astype(int)).mean() < 4


def test_training_draws_what_is_cut_off_and_testing_takes_the_middle() -> None:
    framing = Framing(cut=(0.05, 0.15), equal_sides=False)
    torch.manual_seed(0)
    drawn = torch.tensor([framing.draw(200, 200) for _ in range(500)]).float()
    top, left, height, width = drawn.unbind(1)
    cuts = torch.stack([top, left, 200 - top - height, 200 - left - width])
    assert (cuts.amin(), cuts.amax()) == (10, 30)
    assert cuts.mean(1).tolist() == pytest.approx([20] * 4, abs=1)
    assert float(torch.corrcoef(cuts).fill_diagonal_(0).abs().max()) < 0.2
    assert framing.middle(200, 200) == (20, 20, 160, 160)
    top, left, height, width = torch.tensor([Framing(cut=(0.05, 0.15)).draw(200, 200) for _ in range(50)]).unbind(1)
    assert torch.equal(top, left)
    assert torch.equal(height, width)
    assert framing.show(torch.rand(1, 3, 200, 200), (64, 64)).shape == (1, 3, 64, 64)


def test_what_face_x_ray_keeps_lies_below_the_middle() -> None:
    assert Framing(cut=(0.0946, 0.0946), shift_down=0.0946).middle(317, 317) == (60, 30, 257, 257)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cut": (0.2, 0.1)}, r"framing\.cut 0\.2, 0\.1: must rise, from 0 on, to less than a half"),
        ({"cut": (0.1, 0.5)}, r"framing\.cut 0\.1, 0\.5: must rise"),
        (
            {"cut": (0.1, 0.1), "shift_down": 0.2},
            r"framing\.shift_down 0\.2: must not be more than the least cut, 0\.1",
        ),
    ],
)
def test_a_framing_that_leaves_nothing_or_leaves_the_crop_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Framing(**options)


def test_released_code_leaves_a_crop_at_the_upper_left_and_a_zoom_is_cut_off() -> None:
    x = image(96, 96)
    cropped = through(x, Shape(crop=(5, 4, 80, 90)), compat=True)
    assert torch.equal(cropped[..., :80, :90], x[..., 5:85, 4:94])
    assert not cropped[..., 80:, :].any()
    assert not cropped[..., 90:].any()
    larger = through(x, Shape(zoom=1.15), compat=True)
    assert torch.equal(larger[..., 0, 0], x[..., 0, 0])
    assert not torch.equal(larger[..., -1, -1], x[..., -1, -1])
    smaller = through(x, Shape(zoom=0.85), compat=True)
    assert not smaller[..., 82:, :].any()
    assert not through(x, Shape(zoom=0.85))[..., 82:, :].eq(0).any()


def test_what_is_erased_is_black_and_makes_no_boundary() -> None:
    hole = Shape(hole=(10, 20, 30, 25))
    assert not through(image(96, 96), hole)[..., 10:40, 20:45].any()
    ramp = torch.linspace(0, 1, 96).expand(1, 1, 96, 96).contiguous()
    mask = through(ramp, hole)[0, 0]
    assert set(mask[10:40, 20:45].flatten().tolist()) == {0.0}  # less than a half there
    outside = torch.ones(96, 96, dtype=torch.bool)
    outside[10:40, 20:45] = False
    assert torch.equal(mask[outside], ramp[0, 0][outside])


@given(st.integers(0, 2**31), st.integers(60, 300), st.integers(60, 300))
def test_a_drawn_shape_stays_in_the_image(seed: int, height: int, width: int) -> None:
    torch.manual_seed(seed)
    shape = draw_shape(height, width, 0.14, (0.85, 1.15), (0.02, 0.33))
    assert sum((shape.crop is not None, shape.zoom != 1, shape.hole is not None)) == 1
    for window in (shape.crop, shape.hole):
        if window is not None:
            top, left, tall, wide = window
            assert 0 <= top <= top + tall <= height
            assert 0 <= left <= left + wide <= width
    if shape.crop is not None:
        assert shape.crop[2] >= 0.86 * height - 1
    assert 0.85 <= shape.zoom <= 1.15
