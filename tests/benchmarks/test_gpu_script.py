"""The script that a GPU is checked with runs, at tiny sizes and without one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.speed import right
from benchmarks.speed.faces import real_batch
from benchmarks.speed.presets import presets
from lightning_modules.classifier import Classifier
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def results(studio: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two stages of the script, on a studio that is rendered and prepared already."""
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    (work / "studio").mkdir()
    for path in (*studio.iterdir(), prepared):
        (work / "studio" / path.name).symlink_to(path)
    stages = ["--stages", "[right,fast,profile]", "--wanted", "[classifier]", "--steps", "2", "--workers", "0"]
    arguments = ["--device", "cpu", "--tiny", "true", "--precision", "32-true", *stages]
    script = ["bash", str(ROOT / "benchmarks/speed/gpu.sh"), str(out), *arguments]
    done = subprocess.run(
        script, env=os.environ | {"WORK": str(work), "PYTHON": sys.executable}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out


def test_a_step_on_the_device_is_compared_with_the_cpu(results: Path) -> None:
    result = json.loads((results / "gpu_right.json").read_text())["result"]
    assert result["is_right"]
    assert result["steps"]["classifier"]["float32"]["gradient"]["error"] == 0  # the CPU against itself
    assert 0 < result["steps"]["classifier"]["bf16"]["gradient"]["error"] < 0.9


def test_the_table_of_times_has_the_suite_beside_a_bare_loop(results: Path) -> None:
    row = json.loads((results / "gpu_fast.json").read_text())["result"]["classifier"]
    assert row["suite"]["ms"] > 0
    assert row["bare"]["ms"] > 0


def test_the_profile_counts_operations(results: Path) -> None:
    row = json.loads((results / "gpu_profile.json").read_text())["result"]["classifier"]
    assert row["operations"] > 100


def test_a_row_that_hangs_is_left_out_by_the_next_call_and_its_stack_is_kept(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from benchmarks.speed.watched_rows import measure_rows

def fail():
    raise ValueError("of this row alone")

rows = {"quick": lambda: {"ms": 1}, "hangs": lambda: time.sleep(60), "fails": fail, "last": lambda: {"ms": 2}}
print(measure_rows("table", rows, Path(sys.argv[1]), 0.5))
"""
    call = [sys.executable, "-c", script, str(tmp_path)]
    first = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert first.returncode == 1
    assert 'File "<string>", line 9 in <lambda>' in (tmp_path / "gpu_stacks.txt").read_text()
    second = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    rows = ast.literal_eval(second.stdout.splitlines()[-1])
    assert rows["hangs"] == {"error": "did not end in 0.5 s; gpu_stacks.txt says where it was"}
    assert rows["fails"] == {"error": "ValueError: of this row alone"}
    assert (rows["quick"], rows["last"]) == ({"ms": 1}, {"ms": 2})


def test_a_method_that_differs_on_the_device_is_not_right(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = Classifier.forward, iter(range(9))

    def other(self: Classifier, frames: torch.Tensor, framed: bool = False) -> object:
        return forward(self, frames * 0.9 if next(calls) else frames, framed)  # all but the reference

    monkeypatch.setattr(Classifier, "forward", other)
    assert not right.check_method(presets(tiny=True)["classifier"], "cpu", True)["float32"]["within"]


def test_faces_of_the_check_have_their_landmarks_on_them() -> None:
    batch = real_batch(2, 64)
    points = batch.landmarks[0, 0]
    inside = (points > 0) & (points < 64)
    assert inside.all()
    eyes, mouth = points[36:48, 1].mean(), points[48:68, 1].mean()
    assert 0.1 * 64 < mouth - eyes < 0.5 * 64
