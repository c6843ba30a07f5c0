"""Work spread over processes, that stops at once when it is told to."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
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


def run(jobs: Iterable[Job], workers: int) -> Iterator[Any]:
    """Yields what each finished job returns. Left early, it ends the workers: what they write must be atomic."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context(START), begin_worker)
    todo = iter(jobs)
    running: set[Future[Any]] = set()
    try:
        while True:
            running |= {pool.submit(work, *arguments) for work, arguments in islice(todo, 2 * workers - len(running))}
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for task in finished:
                yield task.result()
    finally:
        if running:
            for process in list(pool._processes.values()):
                process.kill()
        pool.shutdown(wait=True, cancel_futures=True)
