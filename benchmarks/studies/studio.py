"""How long a studio takes, whether its faces are found, and whether anything but the forgery gives the class away."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
from jsonargparse import auto_cli
from rich.console import Console

from benchmarks.record import record
from datamodules.datasets.ffpp import index
from datamodules.manifest import Video
from datamodules.media.video import Decord
from datamodules.studio.build import Plan, Size, build
from suite.runs.give_aways import look_into


def give_aways(rows: list[Video], root: Path, workers: int) -> dict[str, list[dict[str, Any]]]:
    """Of every file of each compression, as 'doctor' looks into some of a data set."""
    out = {}
    for compression in ("c23", "c40"):
        report = look_into([row for row in rows if row.compression == compression], root, len(rows), workers)
        report.show(Console(width=160))
        out[compression] = [row.to_json() for row in report.rows]
    return out


def found_in(root: Path, rows: list[Video], every: int) -> dict[str, Any]:
    """Share of frames in which dlib's HOG, without up-sampling, finds exactly one face."""
    detector = dlib.get_frontal_face_detector()
    seen: dict[str, list[bool]] = {}
    for row in rows:
        for number, _, frame in Decord().stream(root / row.path):
            if number % every == 0:
                grey = cv2.cvtColor(frame.numpy(), cv2.COLOR_RGB2GRAY)
                seen.setdefault(f"{row.method} {row.compression}", []).append(len(detector(grey, 0)) == 1)
    rates = {name: round(float(np.mean(hits)), 4) for name, hits in sorted(seen.items())}
    frames = sum(map(len, seen.values()))
    return {"frames": frames, "found": sum(map(sum, seen.values())) / frames, "by_method": rates}


def studio(
    work: Path, size: list[Size] | None = None, workers: int = 2, every: int = 4, difficulty: float = 0.1
) -> None:
    """Measure, print and record.

    Args:
        work: Folder that the studios are rendered in.
        size: Sizes of studio; tiny and small if unset.
        workers: Processes.
        every: Only each n-th frame is searched for faces.
        difficulty: How faint the forgeries are, from 0 to 1.
    """
    cv2.setNumThreads(1)
    result: dict[str, Any] = {}
    for name in size or ["tiny", "small"]:
        root = work / name
        shutil.rmtree(root, ignore_errors=True)
        start = time.perf_counter()
        for _ in build(root, Plan(size=name, seed=0, difficulty=difficulty), workers):
            pass
        seconds = time.perf_counter() - start
        rows = list(index(root))
        result[name] = {
            "seconds": round(seconds, 1),
            "workers": workers,
            "videos": len(rows),
            "megabytes": round(sum(p.stat().st_size for p in root.rglob("*") if p.is_file()) / 1e6),
            "hog": found_in(root, rows, every),
            "give_aways": give_aways(rows, root, workers),
        }
        print(f"{name}: {seconds:.1f} s, one face in {result[name]['hog']['found']:.2%} of frames")
    print(record("studio", result))


if __name__ == "__main__":
    auto_cli(studio, as_positional=False)
