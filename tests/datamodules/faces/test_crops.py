"""Crops show what they say, and both stores give back what went in."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.faces.crop import Square
from datamodules.media.image import Format, decode, encode
from datamodules.media.mask_video import align
from datamodules.prepared.shards import ShardMember, join_tars, write_tar


@given(
    x=st.integers(-40, 100),
    y=st.integers(-40, 80),
    side=st.integers(40, 160),
    size=st.sampled_from([32, 64, 96, 224]),
    at=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
)
def test_a_point_stays_on_its_pixel(x: int, y: int, side: int, size: int, at: tuple[float, float]) -> None:
    height, width = 160, 200
    px, py = x + at[0] * side, y + at[1] * side
    if not (8 < px < width - 8 and 8 < py < height - 8):
        return
    ys, xs = np.mgrid[:height, :width]
    blob = np.exp(-((xs - px) ** 2 + (ys - py) ** 2) / (2 * 3.0**2))
    crop = Square(x, y, side).cut((255 * blob).astype(np.uint8), size).astype(float)
    inward = Square(x, y, side).to_crop(np.array([[px, py]], np.float32), size)[0]
    ys, xs = np.mgrid[:size, :size]
    reach = (np.hypot(xs - inward[0], ys - inward[1]) < 9 * size / side) * (crop > 40) * crop
    centre = np.array([(reach * xs).sum(), (reach * ys).sum()]) / reach.sum()
    np.testing.assert_allclose(centre, inward, atol=0.35 * max(1, size / side))


@given(st.tuples(*[st.floats(-50, 500)] * 2), st.floats(5, 300), st.floats(1, 2))
def test_a_square_is_centred_on_its_box(corner: tuple[float, float], side: float, margin: float) -> None:
    box = np.array([*corner, corner[0] + side, corner[1] + 0.8 * side], np.float32)
    square = Square.from_box(box, margin)
    assert square.side == pytest.approx(margin * side, abs=1)
    assert square.x + square.side / 2 == pytest.approx((box[0] + box[2]) / 2, abs=1)
    assert square.y + square.side / 2 == pytest.approx((box[1] + box[3]) / 2, abs=1)


def test_beyond_the_edge_the_last_pixel_repeats() -> None:
    frame = np.arange(100, dtype=np.uint8).reshape(10, 10)
    crop = Square(-3, 6, 8).cut(frame, 8)
    assert (crop[:, 0] == crop[:, 3]).all()
    assert (crop[4:] == crop[3]).all()
    np.testing.assert_array_equal(crop[:4, 3:], frame[6:, :5])


@pytest.mark.parametrize("format", ["png", "webp"])
def test_lossless_formats_keep_every_bit(format: Format) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode(encode(image, format)), image)


def test_jpg_is_near_and_keeps_the_order_of_colours() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[..., 0] = np.linspace(100, 250, 40)
    assert np.abs(decode(encode(image, "jpg")).astype(int) - image).max() < 8


def test_tars_are_read_by_offset_and_by_anybody(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    contents = [{f"v/{i}_{j}.png": rng.bytes(int(rng.integers(1, 3000))) for j in range(4)} for i in range(3)]
    parts, places = [], []
    for i, content in enumerate(contents):
        parts.append(tmp_path / f"{i}.tar")
        places.append(write_tar(parts[-1], content.items()))
    shifts = join_tars(parts, tmp_path / "all.tar")
    for content, place, shift in zip(contents, places, shifts, strict=True):
        for name, expected in content.items():
            assert place[name].read(tmp_path) == expected
            assert ShardMember("all.tar", place[name].offset + shift, place[name].length).read(tmp_path) == expected
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert tar.getnames() == [name for content in contents for name in content]


def test_masks_meet_frames_by_time_not_by_number() -> None:
    frames, masks = np.arange(95) / 30, np.arange(79) / 25
    found = align(frames, masks)
    assert (np.abs(masks[found] - frames) <= 0.5 / 25 + 1e-9).all()
    assert found[50] == 42  # 50 / 30 s is 1.667 s, and mask 42 is at 1.68 s


def test_a_mask_video_that_ends_early_gives_none_after_it() -> None:
    found = align(np.arange(50) / 25, np.arange(30) / 25)
    assert found[:30].tolist() == list(range(30))
    assert (found[31:] == -1).all()


def test_a_mask_video_of_one_frame_serves_that_frame() -> None:
    assert align(np.array([0.0, 0.04]), np.array([0.0])).tolist() == [0, -1]
