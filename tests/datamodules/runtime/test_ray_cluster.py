"""Preparing on a Ray cluster ends with what one machine ends with, whoever dies on the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from datamodules.runtime import ray_cluster
from datamodules.runtime.errors import UserError
from tests.conftest import ROOT, preparing
from tests.fixtures.processes import START


def busy_worker(driver: psutil.Process) -> psutil.Process | None:
    for child in driver.children(recursive=True):
        try:
            if "prepare_video" in " ".join(child.cmdline()):
                return child
        except psutil.Error:
            continue
    return None


@pytest.mark.slow  # test_a_cluster_plays_a_sweep runs on one, too
def test_a_worker_killed_in_the_middle_changes_nothing(swaps: Path, prepared_swaps: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "suite", *preparing(swaps, out), "--cluster", "local"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    victim = None
    deadline = time.monotonic() + 600
    while victim is None and process.poll() is None and time.monotonic() < deadline:
        if len(list((out / "parts").glob("[!.]*"))) >= 3:
            victim = busy_worker(psutil.Process(process.pid))
        time.sleep(0.02)
    assert victim is not None, process.communicate()[1][-2000:]
    assert victim.nice() == psutil.Process(process.pid).nice()  # it gives way to nobody
    os.kill(victim.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-2000:]
    assert not psutil.pid_exists(victim.pid)
    assert (out / "manifest.csv").read_text() == (prepared_swaps / "manifest.csv").read_text()
    for table in ("crops", "faces", "tracks"):
        assert (out / f"{table}.arrow").read_bytes() == (prepared_swaps / f"{table}.arrow").read_bytes()


def test_an_address_where_nothing_listens_is_refused() -> None:
    with pytest.raises(UserError, match=r"--cluster 127\.0\.0\.1:1: no Ray cluster there"):
        list(ray_cluster.run([(int, ())], "127.0.0.1:1", 1))


def find_ray() -> None:
    import suite.prepare

    assert suite.prepare
    sys.exit("ray" in sys.modules)


def test_no_ray_is_imported_without_a_cluster() -> None:
    process = multiprocessing.get_context(START).Process(target=find_ray)
    process.start()
    process.join()
    assert process.exitcode == 0
