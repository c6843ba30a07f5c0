"""Long verbs that are killed at random moments and called again, against the same that nothing killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from jsonargparse import auto_cli

from benchmarks.record import record
from datamodules.annotation.request import Choice, Request, RequestedFace
from datamodules.runtime.folder_lock import NAME as LOCK

ROOT = Path(__file__).parents[2]
FACES = 60  # of the request, each an image to write


@dataclass(frozen=True, kw_only=True)
class KilledVerb:
    """A command that fills a folder, and what of the folder must come out alike."""

    arguments: Callable[[Path], list[str]]
    read: Callable[[Path], dict[str, str]]


def digest_files(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != LOCK)
    return {str(path.relative_to(folder)): blake2b(path.read_bytes()).hexdigest() for path in files}


def digest_sweep(out: Path) -> dict[str, str]:
    """Weights and metrics; times and dates differ."""
    results = json.loads((out / "results.json").read_text())
    kept = [{name: value for name, value in row.items() if not name.endswith("_seconds")} for row in results]
    found = {"results": json.dumps(kept, sort_keys=True)}
    for path in sorted(out.rglob("last.ckpt")):
        state = torch.load(path, weights_only=True)["state_dict"]
        for name, value in state.items():
            content = value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            found[f"{path.relative_to(out)} {name}"] = blake2b(content).hexdigest()
    return found


def write_request(run: Path) -> None:
    """A run that asks for masks of faces of noise."""
    rng = np.random.default_rng(0)
    faces = [RequestedFace(f"noise/fake/c23/{i}", 0, i) for i in range(FACES)]
    choice = Choice(strategy="random", of_frames=FACES, of_fakes=FACES, channels={})
    Request(faces=faces, scores=[0.0] * FACES, choice=choice).write(run)
    (run / "request/faces").mkdir(parents=True)
    for face in faces:
        cv2.imwrite(str(run / "request/faces" / face.file), rng.integers(0, 256, (64, 64, 3), np.uint8))


def make_sweep(prepared: Path) -> dict[str, Any]:
    data = {"data": str(ROOT / "configs/data/studio.yaml"), "overrides": {"prepared": str(prepared), "root": None}}
    overrides = {
        "model": {"init_args": {"backbone": "test_efficientnet"}},
        "data": {"num_workers": 1, "clips_per_face": 2, "eval_clips": 2, "batch_size": 8},
        "trainer": {"max_epochs": 3, "accelerator": "cpu", "enable_progress_bar": False},
    }
    methods = {"plain": {"config": [str(ROOT / "configs/classifier.yaml")]}}
    sweep = {"methods": methods, "train": {"studio": data}, "test": {"studio": data}, "overrides": overrides}
    return {**sweep, "min_validation_auroc": 0.0}


def make_cases(prepared: Path, run: Path, work: Path) -> dict[str, KilledVerb]:
    asked, sweep = work / "asked", work / "sweep.yaml"
    write_request(asked)
    sweep.write_text(yaml.safe_dump(make_sweep(prepared)))
    annotate = ["annotate", "export", "--run", str(asked), "--inline", "false"]
    return {
        "annotate": KilledVerb(arguments=lambda out: [*annotate, "--out", str(out)], read=digest_files),
        "studio": KilledVerb(
            arguments=lambda out: ["studio", "--size", "tiny", "--workers", "2", "--out", str(out)], read=digest_files
        ),
        "export": KilledVerb(
            arguments=lambda out: ["export", "--checkpoint", str(run), "--out", str(out)], read=digest_files
        ),
        "benchmark": KilledVerb(
            arguments=lambda out: ["benchmark", "--config", str(sweep), "--out", str(out)], read=digest_sweep
        ),
    }


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as said:
        return subprocess.Popen([sys.executable, "-m", "suite", *arguments], cwd=ROOT, stdout=said, stderr=said)


def wait_for_first_file(out: Path, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None and not any(path.is_file() and path.name != LOCK for path in out.rglob("*")):
        time.sleep(0.005)


def measure(case: KilledVerb, out: Path) -> float:
    """Seconds from the first file to the end."""
    process = start(case.arguments(out), out.with_suffix(".log"))
    wait_for_first_file(out, process)
    began = time.monotonic()
    if process.wait():
        raise SystemExit(out.with_suffix(".log").read_text()[-2000:])
    return time.monotonic() - began


def kill(case: KilledVerb, out: Path, after: float, whole: dict[str, str]) -> dict[str, Any]:
    """
    Args:
        after: Seconds from the first file.
        whole: What the folder has when nothing was killed.
    """
    log = out.with_suffix(".log")
    process = start(case.arguments(out), log)
    wait_for_first_file(out, process)
    time.sleep(after)
    was_running = process.poll() is None
    os.kill(process.pid, signal.SIGKILL) if was_running else None
    process.wait()
    left = len(digest_files(out))
    code = start(case.arguments(out), log).wait()
    is_same = code == 0 and case.read(out) == whole
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if not is_same else []
    return {
        "after_seconds": round(after, 2),
        "was_running": was_running,
        "files_left": left,
        "exit_status_again": code,
        "is_same": is_same,
        "last_words": last,
    }


@dataclass(frozen=True, kw_only=True)
class KillCount:
    """Of a verb."""

    verb: str
    tried: int  # kills that met a process that ran
    survived: int
    lost: int
    seconds: float  # from its first file to its end
    kills: list[dict[str, Any]]


def kills(prepared: Path, run: Path, work: Path, verbs: list[str] | None = None, count: int = 5, seed: int = 0) -> None:
    """Kill, call again, compare and record: tried, survived and lost for each verb.

    Args:
        prepared: Folder of a prepared studio.
        run: A training, to be exported.
        work: Folder for all that is written, empty.
        verbs: All of them without it.
        count: Kills of each.
        seed: Of the moments.
    """
    draw, scores = random.Random(seed), []
    work.mkdir(parents=True, exist_ok=True)
    cases = make_cases(prepared.resolve(), run.resolve(), work.resolve())
    for verb in verbs or list(cases):
        case, folder = cases[verb], work.resolve() / verb
        folder.mkdir()
        seconds = measure(case, folder / "whole")
        whole = case.read(folder / "whole")
        done: list[dict[str, Any]] = []
        while sum(one["was_running"] for one in done) < count:
            out = folder / f"killed{len(done)}"
            done.append(kill(case, out, draw.uniform(0, seconds), whole))
            print(verb, done[-1], flush=True)
            if done[-1]["is_same"]:
                shutil.rmtree(out)
        met = [one for one in done if one["was_running"]]
        survived = sum(one["is_same"] for one in met)
        score = KillCount(
            verb=verb,
            tried=len(met),
            survived=survived,
            lost=len(met) - survived,
            seconds=round(seconds, 1),
            kills=done,
        )
        scores.append(asdict(score))
        print(record("_".join(["kills", *(verbs or [])]), scores))


if __name__ == "__main__":
    auto_cli(kills, as_positional=False)
