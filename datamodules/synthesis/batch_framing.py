"""All pairs of a batch cut, mirrored, changed in shape and brought to size together, as ``framing`` does one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.augment.drawn_numbers import move
from datamodules.synthesis.framing import Cut
from datamodules.synthesis.resize import line, sample_grid


class Side(NamedTuple):
    """Of one pair along one axis, in pixels."""

    first: float  # place in the image of what comes first on the canvas
    step: float  # from one place to the next
    filled: int  # places; the canvas is black beyond
    length: int  # of the canvas that is shown
    share: float  # of the window, what is left of it
    hole: tuple[int, int]  # first of the canvas that is erased, and the first that is not any more


def cut_together(images: Tensor, cuts: Sequence[Cut], compat: bool, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """(B, C, h, w) for each of the sizes.

    Args:
        images: (B, C, H, W).
        compat: See framing.framed.
        sizes: Height and width of what is given back.
    """
    sides = [[side_of(cut, axis, compat) for cut in cuts] for axis in range(2)]
    canvas = [max(side.length for side in axis) for axis in sides]
    numbers = [
        line(
            length,
            full,
            [side.first for side in axis],
            [side.step for side in axis],
            [0] * len(axis),
            [side.filled for side in axis],
        )
        for axis, length, full in zip(sides, canvas, images.shape[-2:], strict=True)
    ]
    for size in sizes:
        numbers += place(sides, canvas, size)
    holes = []
    for axis, length in zip(sides, canvas, strict=True):
        begin, end = (torch.tensor(ends)[:, None] for ends in zip(*(side.hole for side in axis), strict=True))
        holes.append((torch.arange(length) >= begin) & (torch.arange(length) < end))
    numbers = move([*numbers, *holes], images.device)
    wide = sample_grid(images, numbers[0], numbers[1])
    tall, across = numbers[-2:]
    wide.masked_fill_((tall[:, :, None] & across[:, None])[:, None], 0)
    return [sample_grid(wide, numbers[i], numbers[i + 1]) for i in range(2, len(numbers) - 2, 2)]


def side_of(cut: Cut, axis: int, compat: bool) -> Side:
    start, extent = cut.window[axis], cut.window[axis + 2]
    shape, begin, length, step, share, hole = cut.shape, 0, extent, 1.0, 1.0, (0, 0)
    if shape.crop is not None:
        begin, length = shape.crop[axis], shape.crop[axis + 2]
        share = 1.0 if compat else (length - 1) / (extent - 1)
    if shape.zoom != 1:
        length = round(extent * shape.zoom)
        step = (extent - 1) / max(1, length - 1)
    if shape.hole is not None:
        hole = shape.hole[axis], shape.hole[axis] + shape.hole[axis + 2]
    filled = min(length, extent) if compat else length
    flip = axis == 1 and cut.flip
    first = start + extent - 1 - begin if flip else start + begin
    return Side(first, -step if flip else step, filled, extent if compat else length, share, hole)


def place(sides: list[list[Side]], canvas: list[int], size: tuple[int, int]) -> list[Tensor]:
    """Rows and columns of the canvas from which what is given back comes; black where proportions changed."""
    largest = [max(both) for both in zip(*([side.share for side in axis] for axis in sides), strict=True)]
    out = []
    for axis, full, length in zip(sides, canvas, size, strict=True):
        shown = [round((length - 1) * side.share / most) + 1 for side, most in zip(axis, largest, strict=True)]
        low = [(length - each) // 2 for each in shown]
        step = [(side.length - 1) / max(1, each - 1) for side, each in zip(axis, shown, strict=True)]
        first = [-begin * by for begin, by in zip(low, step, strict=True)]
        high = [begin + each for begin, each in zip(low, shown, strict=True)]
        out.append(line(length, full, first, step, low, high))
    return out
