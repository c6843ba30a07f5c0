"""Work spread over processes does not spread itself over threads as well."""

from __future__ import annotations

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
