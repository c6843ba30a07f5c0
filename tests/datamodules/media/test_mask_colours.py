"""A mask is white where any of its colours is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.media.mask_video import read_masks, stream_masks
from datamodules.media.video import Auto, probe


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)])
def test_a_mask_of_any_colour_is_white(colour: tuple[int, int, int], tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[2:4, 2:6] = colour
    cv2.imwrite(str(tmp_path / "mask.png"), image)
    cv2.imwrite(str(tmp_path / "fake.png"), np.full((8, 8, 3), 90, np.uint8))
    expected = np.zeros((8, 8), np.uint8)
    expected[2:4, 2:6] = 255
    index = probe(tmp_path / "fake.png")
    [mask] = read_masks(Auto(), tmp_path / "mask.png", index, [0], (8, 8))
    [(_, _, streamed)] = stream_masks(Auto(), tmp_path / "mask.png", index)
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(streamed, expected)
