"""Work spread over a Ray cluster: the same jobs as on one machine, on folders that all machines see."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import Any

from datamodules.runtime.errors import UserError
from datamodules.runtime.process_pool import Job

RETRIES = 3  # of a job whose worker died


def call(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return work(*arguments)


def reach(address: str) -> None:
    """Ray itself goes on trying for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


def run(jobs: Iterable[Job], address: str, workers: int, one_gpu: bool = False) -> Generator[Any, None, None]:
    """Yields what each finished job returns, in no order.

    Args:
        address: Address of a running cluster, such as auto or ray://host:10001; local starts one on this machine.
        workers: Processes of a local one.
        one_gpu: Each job has one to itself, where the cluster has any.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError("--cluster needs Ray: pip install -e '.[cluster]' in the clone") from error
    here: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # of a local one: Ray's own 15 lets workers stand still where anything else runs, for minutes on 2 cores
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        reach(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(here if address == "local" else {}))
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"--cluster {address}: no Ray cluster there ({str(error).splitlines()[0]})") from error
    remote = ray.remote(call)
    gpus = ray.cluster_resources().get("GPU", 0) if one_gpu else 0
    places = int(gpus or ray.cluster_resources().get("CPU", 1))
    todo = iter(jobs)
    running: list[Any] = []
    try:
        while True:
            # twice as many as can run: none waits for the next, and a million are not queued at once
            room = 2 * places - len(running)
            running += [
                remote.options(max_retries=RETRIES, name=work.__name__, num_gpus=1 if gpus else 0).remote(
                    work, arguments
                )
                for work, arguments in islice(todo, max(0, room))
            ]
            if not running:
                return
            finished, running = ray.wait(running, num_returns=1)
            try:
                yield ray.get(finished[0])
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                raise UserError(f"--cluster {address}: {str(error).strip().splitlines()[0]}") from error
    finally:
        ray.shutdown()
