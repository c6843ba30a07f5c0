"""Mask videos, paired with the frames they belong to by time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.crops import two_valued
from datamodules.video import Decoder, VideoError, probe


def align(times: NDArray[np.float64], mask_times: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each frame time the nearest mask frame, or -1 where the mask video has already ended."""
    right = np.clip(np.searchsorted(mask_times, times), 1, max(1, len(mask_times) - 1))
    if len(mask_times) == 1:
        return np.where(np.abs(times - mask_times[0]) < 0.02, 0, -1)
    left = right - 1
    nearest = np.where(times - mask_times[left] <= mask_times[right] - times, left, right)
    step = float(np.median(np.diff(mask_times)))
    return np.where(np.abs(mask_times[nearest] - times) <= 0.75 * step, nearest, -1)


def read_masks(
    decoder: Decoder, path: Path, times: Sequence[float], size: tuple[int, int]
) -> list[NDArray[np.uint8] | None]:
    """The (H, W) masks at the times of some frames, 0 or 255; None where there is none.

    Args:
        size: Height and width of the frames; a mask of another size would lie elsewhere.
    """
    found = align(np.asarray(times), probe(path).times)
    wanted = sorted({int(i) for i in found if i >= 0})
    if not wanted:
        return [None] * len(found)
    pictures = decoder.read(path, wanted)[..., 1].cpu().numpy()  # green: the mask is grey
    if pictures.shape[1:] != size:
        raise VideoError(path, f"is {pictures.shape[2]} x {pictures.shape[1]}, its video {size[1]} x {size[0]}")
    by_number = {number: two_valued(picture) for number, picture in zip(wanted, pictures, strict=True)}
    return [by_number.get(int(i)) for i in found]
