"""Label Studio's run lengths of a brush: bits of the four channels of an image, the mask in each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datamodules.runtime.errors import UserError

WORD = 8  # bits of a value
SIZES = (3, 4, 8, 16)  # bits that the length of a run can have
Bytes = NDArray[np.uint8]


def encode(mask: Bytes) -> list[int]:
    """
    Args:
        mask: (H, W), 0 or 255.
    """
    values = np.repeat(mask.flatten(), 4)
    bits = [f"{len(values):032b}", f"{WORD - 1:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else np.empty(0, np.int64)
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(values)], strict=True):
        while start < end:
            length = min(end - start, 1 << SIZES[-1])
            kind = next(i for i, size in enumerate(SIZES) if length <= 1 << size)
            bits.append(f"1{kind:02b}{length - 1:0{SIZES[kind]}b}{values[start]:0{WORD}b}")
            start += length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


def decode(rle: Sequence[int], height: int, width: int) -> Bytes:
    """(H, W), 0 or 255."""
    if not isinstance(rle, list) or not all(type(byte) is int and 0 <= byte < 256 for byte in rle):
        raise UserError("brush: must be a list of bytes")
    bits = "".join(f"{byte:08b}" for byte in rle)
    at = 0

    def read(size: int) -> int:
        nonlocal at
        at += size
        if at > len(bits):
            raise UserError("brush: ends too early")
        return int(bits[at - size : at], 2)

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if count != 4 * height * width:
        raise UserError(f"brush: is of {count} values, not of {height} x {width} pixels with four channels")
    values, i = np.zeros(count, np.uint8), 0
    while i < count:
        is_run = read(1)
        end = i + 1 + read(sizes[read(2)])
        if end > count:
            raise UserError("brush: a run goes beyond the image")
        if is_run:
            values[i:end] = min(read(word), 255)
        else:
            values[i:end] = [min(read(word), 255) for _ in range(end - i)]
        i = end
    return np.where(values.reshape(height, width, 4)[..., 3] > 127, 255, 0).astype(np.uint8)
