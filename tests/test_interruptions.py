"""Runs that are killed, interrupted or out of disk cost nothing that was good."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.studies.resume import add_signal, compare, data_of, fit, training_settings
from datamodules.runtime.errors import UserError
from lightning_modules.training.checkpoint_io import SafeCheckpointIO
from suite.__main__ import main
from tests.conftest import ROOT, preparing, small_fit, suite

THE_SAME = {"weights": 0, "averaged_weights": 0, "optimizer": 0, "schedule": 0, "same_losses": True}


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]
    return state


def wait_for(path: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "suite", *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )


def heed_ctrl_c() -> None:
    """Also where these tests run in the background of a shell, which makes its jobs ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
    run_fit(tmp_path / "run", settings, "--ckpt_path", "last")
    assert compare(unstopped(read), tmp_path / "run") == THE_SAME


def test_workers_that_end_with_each_epoch_change_nothing_of_a_resumed_training(
    studio: Path, prepared: Path, unstopped: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = training_settings(data_of(studio, prepared, "crops"), workers=1, persistent=False)
    run_fit(tmp_path / "run", settings, "--trainer.max_epochs", "2")
    run_fit(tmp_path / "run", settings, "--ckpt_path", "last")
    assert compare(unstopped("crops"), tmp_path / "run") == THE_SAME


def test_ctrl_c_stops_within_five_seconds_and_leaves_nothing_half_written(prepared: Path, tmp_path: Path) -> None:
    process = start(small_fit(prepared, tmp_path, "--trainer.max_epochs", "500", "--data.num_workers", "2"))
    wait_for(tmp_path / "checkpoints/last.ckpt")
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode != 0
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.part"))
    assert weights(tmp_path)


@pytest.mark.parametrize("verb", ["studio", "prepare"])
def test_ctrl_c_stops_the_other_long_verbs_too(verb: str, studio: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["studio", "--out", str(out), "--size", "small", "--workers", "2"]
    arguments = preparing(studio, out) if verb == "prepare" else arguments
    process = start(arguments)
    deadline = time.monotonic() + 60
    while not (list(out.rglob("*.mp4")) or list((out / "parts").glob("*"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert "Traceback" not in said
    assert f"{verb} interrupted" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_is_one_error_and_costs_no_checkpoint(small_disk: Path) -> None:
    state = {"state_dict": {"w": torch.zeros(250_000)}}
    SafeCheckpointIO().save_checkpoint(state, small_disk / "last.ckpt")
    (small_disk / "ballast").write_bytes(bytes(1_500_000))
    state["state_dict"]["w"] += 1
    with pytest.raises(UserError, match=r"last\.ckpt: checkpoint not written \(No space left"):
        SafeCheckpointIO().save_checkpoint(state, small_disk / "last.ckpt")
    kept = torch.load(small_disk / "last.ckpt", weights_only=True)
    assert kept["state_dict"]["w"].sum() == 0
    assert not list(small_disk.glob(".*.part"))


def test_a_training_on_a_full_disk_ends_with_one_line(prepared: Path, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(2_200_000))
    done = suite(*small_fit(prepared, small_disk / "run"))
    assert done.returncode == 2
    assert "No space left" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
