"""Work spread over processes does not spread itself over threads as well."""

from __future__ import annotations

import os
import signal
from concurrent.futures.process import BrokenProcessPool

import pytest

from datamodules.runtime import process_pool


def count_threads() -> int:
    import torch

    return torch.get_num_threads()


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("2", 2)])
def test_a_worker_has_one_thread_unless_told_otherwise(
    given: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in process_pool.ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(process_pool, "START", "spawn")  # as for users: a worker imports all itself
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert list(process_pool.run([(count_threads, ())], 1)) == [threads]


def square(number: int) -> int:
    if number % 5 == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number * number


def test_a_job_that_crashes_costs_no_other() -> None:
    jobs = ((square, (i,)) for i in range(9))
    results = list(process_pool.run(jobs, 2, lambda number: -number))
    assert sorted(results) == sorted([0, 1, -2, 9, 16, 25, 36, -7, 64])


def test_without_somebody_to_blame_a_crash_ends_all() -> None:
    with pytest.raises(BrokenProcessPool):
        list(process_pool.run(((square, (i,)) for i in range(3)), 1))
