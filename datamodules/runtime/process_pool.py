"""Work spread over processes, that stops at once when it is told to."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Literal

Job = tuple[Callable[..., Any], tuple[Any, ...]]
# processes share the cores already: with as many threads each, 14 on 16 cores took longer than 2 on 2
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

START: Literal["spawn", "forkserver"] = (
    "spawn"  # dlib, decord and torch do not survive a fork of a process with threads
)

# looked up before any fork: nothing may be loaded between a fork and what follows it
PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG


def die_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """Whoever kills the first process leaves none behind, on Linux; elsewhere each ends with its job."""
    if PRCTL is not None:
        PRCTL(DEATH_OF_PARENT, by)


def begin() -> None:
    die_with_parent()
    for name in ONE_THREAD:  # read once, by libraries that are loaded after this
        os.environ.setdefault(name, os.environ.get("OMP_NUM_THREADS", "1"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C reaches all processes; the first one decides


def begin_worker() -> None:
    begin()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # reaches all processes, too, from a scheduler
    die_with_parent(signal.SIGKILL)


def open_pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context(START), begin_worker)


def close_pool(pool: ProcessPoolExecutor, at_once: bool) -> None:
    if at_once:
        for process in list((pool._processes or {}).values()):
            process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


def run(jobs: Iterable[Job], workers: int, crashed: Callable[..., Any] | None = None) -> Generator[Any, None, None]:
    """Yields what each finished job returns. Left early, it ends the workers: what they write must be atomic.

    Args:
        crashed: Takes the arguments of a job that ends its process, and returns what is yielded instead; without it
            such a job ends all others.
    """
    todo = iter(jobs)
    pool = open_pool(workers)
    running: dict[Future[Any], Job] = {}
    try:
        while True:
            suspects: list[Job] = []
            for job in islice(todo, 2 * workers - len(running)):
                try:
                    running[pool.submit(job[0], *job[1])] = job
                except BrokenProcessPool:
                    suspects.append(job)
                    break
            if not running and not suspects:
                return
            for task in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                job = running.pop(task)
                if isinstance(task.exception(), BrokenProcessPool):
                    suspects.append(job)
                else:
                    yield task.result()
            if suspects:
                if crashed is None:
                    raise BrokenProcessPool("a job ended its process")
                suspects += running.values()  # what was under way has failed with it
                running.clear()
                close_pool(pool, at_once=False)
                yield from run_one_by_one(suspects, crashed)
                pool = open_pool(workers)
    finally:
        close_pool(pool, at_once=bool(running))


def run_one_by_one(jobs: Sequence[Job], crashed: Callable[..., Any]) -> Generator[Any, None, None]:
    """Jobs of which some end their process."""
    pool, left = open_pool(1), len(jobs)
    try:
        for work, arguments in jobs:
            try:
                result = pool.submit(work, *arguments).result()
            except BrokenProcessPool:
                result = crashed(*arguments)
                close_pool(pool, at_once=False)
                pool = open_pool(1)
            left -= 1
            yield result
    finally:
        close_pool(pool, at_once=left > 0)
