"""Loads batches in worker processes, which start once the sampler knows its epoch."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import cv2
from torch.utils.data import DataLoader

from datamodules.batch import Batch, Sample, collate
from datamodules.runtime.errors import UserError

LONGEST_TMPDIR = 107 - len("/pymp-12345678/listener-12345678")
STOPPING = (signal.SIGINT, signal.SIGTERM)


def begin_worker(_: int) -> None:
    cv2.setNumThreads(1)  # one thread per worker: they would wait for each other
    if sys.platform == "linux":
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        threading.Thread(target=heed_parent_alone, daemon=True).start()


def heed_parent_alone() -> None:
    """A signal to all processes is for the first, which ends the others: it would take their end for a crash."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


@contextmanager
def hold_back_signals() -> Iterator[None]:
    """Processes that start meanwhile begin without them; this one gets them at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def end_threads_of_opencv() -> Iterator[None]:
    """Processes that are forked meanwhile would wait for ever for threads that they lack, once they want only one."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def check_temporary_folder() -> None:
    """Sockets of workers lie in it; with too long a path they would wait for ever, without a word."""
    folder = tempfile.gettempdir()
    if (length := len(os.fsencode(folder))) > LONGEST_TMPDIR:
        rule = f"must be at most {LONGEST_TMPDIR} for the sockets of loader workers"
        raise UserError(f"TMPDIR {folder}: {length} bytes, {rule}; set a shorter one, or --data.num_workers 0")


def collate_each(size: int, samples: Sequence[Sample]) -> list[Batch]:
    """The batches of a fetch."""
    return [collate(samples[i : i + size]) for i in range(0, len(samples), size)]


class BatchLoader(DataLoader[Sample]):
    """Asks its sampler for nothing before the first batch is asked for.

    A resumed training makes the iterator first and tells the sampler its epoch afterwards; workers that had started
    with the iterator would have fetched batches of epoch 0 by then.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.num_workers:
            check_temporary_folder()
        with hold_back_signals(), end_threads_of_opencv():
            batches = super().__iter__()
        yield from batches


class FetchLoader(BatchLoader):
    """Fetches several batches at once, as collate_each makes them; its batch_size is the samples of a fetch."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        for batches in super().__iter__():
            yield from batches

    def __len__(self) -> int:
        assert isinstance(self.collate_fn, partial)
        (size,) = self.collate_fn.args
        return -(-len(self.sampler) // size)  # type: ignore[arg-type]
