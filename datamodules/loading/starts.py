"""Where clips begin, and how many there are, of millions of faces at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datamodules.spacing import space_evenly

Numbers = NDArray[np.int32] | NDArray[np.int64]  # the smaller ones where there are millions


def begin_clips(face: Numbers, frame: Numbers, length: int, every: int) -> NDArray[np.bool_]:
    """(N,) whether a whole clip begins at each row; rows are sorted by face, then by frame."""
    out = np.zeros(len(face), bool)
    for rest in range(every):  # among such frames of a face a clip is whole if its last one is as far as it should be
        rows = np.flatnonzero(frame % every == rest)
        begin, end = rows[: len(rows) - length + 1], rows[length - 1 :]
        out[begin] = (face[begin] == face[end]) & (frame[end] - frame[begin] == (length - 1) * every)
    return out


def combine(face: Numbers, frame: Numbers) -> NDArray[np.int64]:
    """One number for a face and a frame, in the same order."""
    return face.astype(np.int64) << 32 | frame


def find_sorted(values: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each value is among those that are sorted."""
    if not len(among):
        return np.zeros(values.shape, bool)
    return among[np.searchsorted(among, values).clip(max=len(among) - 1)] == values


def count_spaced(face: Numbers, start: Numbers, lengths: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(F,) how many of the starts of each face are at evenly spaced positions of its video, or as many as fit.

    Args:
        face: (N,) face of each start, ascending.
        start: (N,) frame of each start, ascending in each face.
        lengths: (F,) positions that a clip could begin at in the video of each face.
        count: Positions at most.
    """
    there = np.bincount(face, minlength=len(lengths))
    size, more = np.minimum(there, count), np.flatnonzero(there > count)
    if not len(more):
        return size
    unique, which = np.unique(lengths[more], return_inverse=True)
    positions = np.full((len(unique), count), -1)
    for row, length in zip(positions, unique.tolist(), strict=True):
        spaced = space_evenly(length, count)
        row[: len(spaced)] = spaced
    found = find_sorted(combine(more[:, None], positions[which]), combine(face, start)).sum(1)
    size[more] = np.where(found > 0, found, count)
    return size
