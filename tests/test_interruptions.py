"""Runs that are killed, interrupted or out of disk cost nothing that was good."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml

from benchmarks.studies.resume import add_signal, compare, data_of, fit, training_settings
from lightning_modules.training.checkpoint_io import SafeCheckpointIO
from suite.__main__ import main
from tests.conftest import ROOT, preparing, small_fit, suite
from tests.fixtures.processes import heed_ctrl_c

SIGNALS = [("INT", 130, "interrupted"), pytest.param("TERM", 143, "terminated", marks=pytest.mark.slow)]
THE_SAME = {"weights": 0, "averaged_weights": 0, "optimizer": 0, "schedule": 0, "same_losses": True}


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]
    return state


def wait_for(path: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "suite", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )


def run_fit(run: Path, settings: dict[str, Any], *options: str) -> None:
    """In this process, which is quicker than one of its own."""
    file = run.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(settings))
    main(["fit", "--config", str(file), "--run", str(run), *options])


@pytest.fixture(scope="module")
def unstopped(studio: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A training of crops, or of videos, that nothing stopped."""
    folder = tmp_path_factory.mktemp("unstopped")

    @functools.cache
    def train(read: str) -> Path:
        run_fit(folder / read, training_settings(data_of(studio, prepared, read), workers=0, persistent=True))
        return folder / read

    return train


@pytest.mark.parametrize(("workers", "read"), [(1, "crops"), pytest.param(2, "videos", marks=pytest.mark.slow)])
def test_killed_within_an_epoch_and_resumed_it_ends_as_if_it_had_never_stopped(
    workers: int, read: str, studio: Path, prepared: Path, unstopped: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = training_settings(data_of(studio, prepared, read), workers, persistent=True)
    assert fit(tmp_path / "run", add_signal(settings, "KILL")) == -signal.SIGKILL
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["epoch"] == 0
    assert not find_writers(tmp_path / "run.log")
    run_fit(tmp_path / "run", settings, "--ckpt_path", "last")
    assert compare(unstopped(read), tmp_path / "run") == THE_SAME


def test_workers_that_end_with_each_epoch_change_nothing_of_a_resumed_training(
    studio: Path, prepared: Path, unstopped: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = training_settings(data_of(studio, prepared, "crops"), workers=1, persistent=False)
    run_fit(tmp_path / "run", settings, "--trainer.max_epochs", "2")
    run_fit(tmp_path / "run", settings, "--ckpt_path", "last")
    assert compare(unstopped("crops"), tmp_path / "run") == THE_SAME


def test_a_training_that_was_killed_before_its_first_last_checkpoint_starts_anew_and_ends_the_same(
    studio: Path,
    prepared: Path,
    unstopped: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = training_settings(data_of(studio, prepared, "crops"), workers=0, persistent=True)
    whole, run = unstopped("crops"), tmp_path / "run"
    run_fit(run, settings, "--trainer.max_epochs", "1")
    (run / "checkpoints/last.ckpt").unlink()
    with pytest.raises(SystemExit):  # what it holds may be all there is of another training
        run_fit(run, settings)
    assert "go on with it by --ckpt_path last" in capsys.readouterr().err
    run_fit(run, settings, "--ckpt_path", "last")
    assert "best.ckpt: was saved before the first last.ckpt: training starts anew" in caplog.text
    assert compare(whole, run) == THE_SAME


def test_a_training_whose_last_checkpoint_is_gone_goes_on_from_its_best(
    studio: Path, prepared: Path, unstopped: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings, run = training_settings(data_of(studio, prepared, "crops"), workers=0, persistent=True), tmp_path / "run"
    shutil.copytree(unstopped("crops"), run)
    checkpoint = SafeCheckpointIO().load_checkpoint(run / "checkpoints/last.ckpt")
    (run / "checkpoints/last.ckpt").rename(run / "checkpoints/best.ckpt")
    assert checkpoint["epoch"] == 2
    run_fit(run, settings, "--trainer.max_epochs", "4", "--ckpt_path", "last")
    assert "last.ckpt: is missing: training goes on from best.ckpt" in caplog.text
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 3


def find_alive(group: int) -> list[psutil.Process]:
    """Processes of a group that do not end."""
    return find_lasting(lambda process: os.getpgid(process.pid) == group)


def find_writers(log: Path) -> list[psutil.Process]:
    """Processes that hold the log of a training and do not end."""
    return find_lasting(lambda process: any(Path(file.path) == log for file in process.open_files()))


def find_lasting(is_meant: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Some seconds later; one that has ended may wait long for an init that asks how."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.Error):
            if process.pid != os.getpid() and is_meant(process):
                found.append(process)
    ends = time.monotonic() + 5
    while found and time.monotonic() < ends:
        found = [one for one in psutil.wait_procs(found, timeout=0.1)[1] if not is_zombie(one)]
    return found


def is_zombie(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


def stop_all(process: subprocess.Popen[str], by: signal.Signals) -> str:
    """Ends a whole process group, as a terminal and schedulers do; all that was said, once nothing of it is left."""
    began = time.monotonic()
    os.killpg(process.pid, by)
    said, _ = process.communicate(timeout=60)  # ends with the last process that holds the pipe
    assert time.monotonic() - began < 30  # an idle machine takes two; nothing may wait for a time limit
    assert not find_alive(process.pid)
    assert "Traceback" not in said
    assert "leaked" not in said
    return said


@pytest.fixture
def temporary() -> Iterator[Path]:
    """With a short path: the sockets of loader workers lie in it, and theirs may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        yield Path(folder)


@pytest.mark.parametrize(("by", "code", "word"), SIGNALS)
def test_a_signal_to_all_processes_of_a_training_ends_it_and_leaves_nothing_behind(
    by: str, code: int, word: str, prepared: Path, tmp_path: Path, temporary: Path
) -> None:
    run = tmp_path / "run"
    options = ["--trainer.max_epochs", "500", "--data.num_workers", "2", "--wandb", "stopped"]
    process = start(small_fit(prepared, run, *options), TMPDIR=str(temporary))
    wait_for(run / "checkpoints/last.ckpt")
    said = stop_all(process, signal.Signals[f"SIG{by}"])
    assert process.returncode == code, said
    assert said.splitlines()[-1] == f"suite: fit {word}"
    assert not list(run.rglob("*.part"))
    assert not list(temporary.glob("*wandb*"))
    assert weights(run)


@pytest.mark.parametrize(("by", "code", "word"), SIGNALS)
@pytest.mark.parametrize("verb", ["studio", "prepare"])
def test_a_signal_to_all_processes_ends_the_other_long_verbs_too(
    verb: str, by: str, code: int, word: str, studio: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ["studio", "--out", str(out), "--size", "small", "--workers", "2"]
    arguments = preparing(studio, out) if verb == "prepare" else arguments
    process = start(arguments)
    deadline = time.monotonic() + 60
    while not (list(out.rglob("*.mp4")) or list((out / "parts").glob("*"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    said = stop_all(process, signal.Signals[f"SIG{by}"])
    assert process.returncode == code
    assert f"suite: {verb} {word}" in said


def test_a_training_on_a_full_disk_ends_with_one_line_that_names_the_file(prepared: Path, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(2_200_000))
    done = suite(*small_fit(prepared, small_disk / "run"))
    assert done.returncode == 2
    assert f"suite: {small_disk}/run/" in done.stderr.splitlines()[-1]
    assert "No space left" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("verb", "folder"), [("studio", "out"), ("prepare", "out/parts")])
def test_what_fills_a_folder_names_the_file_that_the_disk_did_not_take(
    verb: str, folder: str, studio: Path, small_disk: Path
) -> None:
    (small_disk / "ballast").write_bytes(bytes(2_900_000))
    out = small_disk / "out"
    arguments = ["studio", "--out", str(out), "--size", "tiny", "--workers", "1"]
    done = suite(*(preparing(studio, out) if verb == "prepare" else arguments))
    assert done.returncode == 2
    assert f"suite: {small_disk / folder}/" in done.stderr.splitlines()[-1]
    assert "not written (No space left on device)" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(out.rglob(".*.part"))
