"""Mask videos, paired with the frames they belong to by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.media.damage import find_damage
from datamodules.media.image import HALF, binarize, take_brightest
from datamodules.media.video import Decoder, Index, VideoError, probe


def align(times: NDArray[np.float64], mask_times: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each frame time the nearest mask frame, or -1 where the mask video has already ended."""
    right = np.clip(np.searchsorted(mask_times, times), 1, max(1, len(mask_times) - 1))
    if len(mask_times) == 1:
        return np.where(np.abs(times - mask_times[0]) < 0.02, 0, -1)
    left = right - 1
    nearest = np.where(times - mask_times[left] <= mask_times[right] - times, left, right)
    step = float(np.median(np.diff(mask_times)))
    return np.where(np.abs(mask_times[nearest] - times) <= 0.75 * step, nearest, -1)


def match(path: Path, mask: Index, index: Index, numbers: Sequence[int]) -> NDArray[np.int64]:
    """For each frame the one of the mask that belongs to it, or -1."""
    if mask.has_rate:
        if not index.has_rate:
            raise VideoError(path, "is a video, what it masks are images")
        return align(index.times[list(numbers)], mask.times)
    if len(mask) == 1 < len(index):
        raise VideoError(path, f"is one image, what it masks has {len(index)} frames")
    # images belong to the frames whose number they carry
    place = {int(number): i for i, number in enumerate(mask.times)}
    wanted = numbers if index.has_rate else index.times[list(numbers)]
    return np.array([place.get(int(number), -1) for number in wanted], np.int64)


def read_levels(
    decoder: Decoder,
    path: Path,
    index: Index,
    numbers: Sequence[int],
    size: tuple[int, int],
    mask_index: Index | None = None,
) -> list[NDArray[np.uint8] | None]:
    """The (H, W) masks of some frames as they are stored; None where there is none.

    Args:
        index: Index of the clip that is masked.
        numbers: Positions of the frames in it.
        size: Height and width of the frames; a mask of another size would lie elsewhere.
        mask_index: Index of the masks, where they were probed before.
    """
    mask_index = mask_index or probe(path)
    found = match(path, mask_index, index, numbers)
    wanted = sorted({int(i) for i in found if i >= 0})
    if not wanted:
        return [None] * len(found)
    images = take_brightest(decoder.read(path, wanted, mask_index).cpu().numpy())
    if images.shape[1:] != size:
        raise VideoError(path, f"is {images.shape[2]} x {images.shape[1]}, its video {size[1]} x {size[0]}")
    by_number = dict(zip(wanted, images, strict=True))
    return [by_number.get(int(i)) for i in found]


def read_masks(
    decoder: Decoder,
    path: Path,
    index: Index,
    numbers: Sequence[int],
    size: tuple[int, int],
    mask_index: Index | None = None,
    threshold: int = HALF,
) -> list[NDArray[np.uint8] | None]:
    """The (H, W) masks of some frames, 0 or 255; None where there is none.

    Args:
        threshold: Grey level from which a mask is 255; the others as in ``read_levels``.
    """
    levels = read_levels(decoder, path, index, numbers, size, mask_index)
    return [None if image is None else binarize(image, threshold) for image in levels]


def stream_masks(
    decoder: Decoder, path: Path, index: Index, threshold: int | None = HALF
) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
    """Yields (number, seconds, (H, W) mask) of every frame that has one, each mask decoded once.

    Args:
        index: Index of the clip that is masked.
        threshold: Grey level from which a mask is 255; as they are stored if None.
    """
    mask_index = probe(path)
    found = match(path, mask_index, index, range(len(index)))
    masks, at, image = decoder.stream(path, mask_index), -1, None
    for number in np.flatnonzero(found >= 0).tolist():
        while at < found[number]:
            at, _, frame = next(masks)
            levels = take_brightest(frame.cpu().numpy())
            image = levels if threshold is None else binarize(levels, threshold)
        assert image is not None
        yield number, float(index.times[number]), image


def damaged_masks(path: Path, index: Index) -> NDArray[np.bool_]:
    """(N,) whether the mask of each frame is damaged.

    Args:
        index: Index of the clip that is masked.
    """
    masks = probe(path)
    damage = find_damage(path, masks)
    found = match(path, masks, index, range(len(index)))
    out: NDArray[np.bool_] = damage[found.clip(0)] & (found >= 0)
    return out


def measure_cover(box: NDArray[np.float32], mask: NDArray[np.uint8]) -> float:
    """Share of a box, x0 y0 x1 y1, that the mask covers."""
    x0, y0, x1, y1 = np.clip(np.rint(box).astype(int), 0, [mask.shape[1], mask.shape[0]] * 2)
    return float(mask[y0:y1, x0:x1].mean()) / 255 if x1 > x0 and y1 > y0 else 0.0
