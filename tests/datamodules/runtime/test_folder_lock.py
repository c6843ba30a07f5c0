"""One process writes to a folder at a time."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder


def hold(folder: Path, told: Connection, with_child: bool) -> None:
    with hold_folder(folder, "fit"):
        if with_child and os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        told.send("held")
        time.sleep(30)


@pytest.fixture
def holder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[multiprocessing.process.BaseProcess]:
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path / "run", there, getattr(request, "param", False)))
    process.start()
    assert here.recv() == "held"
    yield process
    process.kill()


def test_a_second_process_is_refused_by_name(holder: multiprocessing.process.BaseProcess, tmp_path: Path) -> None:
    said = rf"^{re.escape(str(tmp_path))}/run: 'fit' \(process {holder.pid} on .*\) is writing to it; wait"
    with pytest.raises(UserError, match=said), hold_folder(tmp_path / "run", "fit"):
        pass
    with hold_folder(tmp_path / "other", "fit"):
        pass


@pytest.mark.parametrize("holder", [True], indirect=True)
def test_a_kill_gives_the_folder_back_though_a_forked_worker_lives_on(
    holder: multiprocessing.process.BaseProcess, tmp_path: Path
) -> None:
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert (tmp_path / "run/.lock").exists()
    with hold_folder(tmp_path / "run", "fit"):
        pass


def test_whoever_is_patient_gets_it_from_one_that_ends(
    holder: multiprocessing.process.BaseProcess, tmp_path: Path
) -> None:
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGTERM)
    with hold_folder(tmp_path / "run", "fit", patience=20):
        pass


def test_nothing_of_it_stays_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with hold_folder(tmp_path / "run", "fit"), hold_folder(tmp_path / "run", "test"):
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    assert list((tmp_path / "run").iterdir()) == []
    with hold_folder(tmp_path / "new", "fit"):
        pass
    assert not (tmp_path / "new").exists()
