"""Loads batches in worker processes, which start once the sampler knows its epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
from torch.utils.data import DataLoader

from datamodules.batch import Sample


def use_one_thread(_: int) -> None:
    cv2.setNumThreads(1)  # one thread per worker: they would wait for each other


class BatchLoader(DataLoader[Sample]):
    """Asks its sampler for nothing before the first batch is asked for.

    A resumed training makes the iterator first and tells the sampler its epoch afterwards; workers that had started
    with the iterator would have fetched batches of epoch 0 by then.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        yield from super().__iter__()
