"""A decoder that crashes costs detect one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from suite.detect.analyzer import DetectSettings
from suite.detect.command import detect
from suite.detect.crash_guard import Journal
from suite.detect.table import TABLE
from tests.conftest import ROOT
from tests.fixtures.detecting import EASY, small
from tests.fixtures.head_clips import Frames, head, write
from tests.fixtures.processes import heed_ctrl_c

__all__ = ["head", "small"]  # fixtures

# the guard without torch, whose threads do not survive a fork
WORK = """
import os, signal, sys, time
from suite.detect.crash_guard import guard

def work(journal):
    print("begins", flush=True)
    for name in "abcde":
        if name in journal.done:
            continue
        journal.begin(name)
        if name == journal.crashed:
            print(name, "crashed")
            journal.end(name, "crashed")
            continue
        print(name)  # is lost unless somebody flushes
        {inside}
        journal.end(name)
    if failed := [name for name, reason in journal.done.items() if reason]:
        sys.exit(f"failed: {{failed}}")

guard(work)
print("never twice")
"""


def run(inside: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORK.format(inside=inside)]
    about: dict[str, Any] = {"text": True, "stdout": -1, "stderr": -1, "env": environment, "start_new_session": True}
    return subprocess.Popen(command, preexec_fn=heed_ctrl_c, **about)


def test_a_crash_costs_one_file_and_what_was_said_of_others_stays() -> None:
    process = run("name in 'bd' and os.kill(os.getpid(), signal.SIGSEGV)")
    out, err = process.communicate(timeout=60)
    assert out.split() == ["begins", "a", "begins", "b", "crashed", "c", "begins", "d", "crashed", "e"]
    assert (err.strip(), process.returncode) == ("failed: ['b', 'd']", 1)


def test_without_a_crash_all_is_done_once() -> None:
    process = run("pass")
    out, err = process.communicate(timeout=60)
    assert (out.splitlines(), err, process.returncode) == (["begins", *"abcde", "never twice"], "", 0)


def test_what_the_system_kills_names_its_file_and_memory_in_one_line() -> None:
    process = run("name == 'b' and os.kill(os.getpid(), signal.SIGKILL)")
    out, err = process.communicate(timeout=60)
    assert out.split() == ["begins", "a"]
    reason = "the process was killed while it examined b (often for too little memory: try a smaller --batch)"
    assert (err, process.returncode) == (f"suite: {reason}\n", 137)


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_processes(number: signal.Signals, whole_group: bool) -> None:
    process = run("time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    begun = time.monotonic()
    (os.killpg if whole_group else os.kill)(process.pid, number)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - begun < 20
    assert process.returncode == (-number if number == signal.SIGINT else 128 + number)
    assert err.count("Traceback") == (number == signal.SIGINT)  # that the command line would not show
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_detect_goes_on_after_the_file_that_crashed(
    head: Frames, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path / f"{name}.mp4", head) for name in "abc"]
    journal = Journal(done={"a.mp4": "a.mp4: is odd"}, crashed="b.mp4")
    with pytest.raises(ValueError, match=r"2 of 3 files could not be examined: a.mp4: is odd; .*b.mp4: the decoder"):
        detect(files, [small], tmp_path / "out", False, DetectSettings(frames=4, usable=EASY, device="cpu"), journal)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{files[1]}: no verdict ({files[1]}: the decoder crashed on this file)"
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["b.mp4", "c.mp4", TABLE]
    assert sorted(path.name for path in (tmp_path / "out/c.mp4").iterdir()) == ["page.html", "result.json"]
