"""What it costs to score a stranger's video: beside decoding and looking for faces alone, and in memory.

python -m benchmarks.detect --checkpoint runs/demo --source data/studio/.../000.mp4
"""

from __future__ import annotations

import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from benchmarks.record import record
from datamodules.encode import write
from datamodules.faces import NoLandmarks
from datamodules.tracks import FaceTracker
from datamodules.video import PyAV
from suite.detection.look import Looker, Settings

WIDTH, HEIGHT, FPS = 1280, 720, 30


def film(source: Path, seconds: float) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """A person to and fro, in 720 lines."""
    frames = [frame.numpy().copy() for _, _, frame in PyAV().stream(source)]
    frames = frames + frames[-2:0:-1]
    side = HEIGHT
    rng = np.random.default_rng(0)
    room = cv2.GaussianBlur(rng.integers(60, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8), (0, 0), 12)
    large = []
    for frame in frames:
        picture = room.copy()
        x = (WIDTH - side) // 2
        picture[:, x : x + side] = cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC)
        large.append(picture)
    for i in range(round(seconds * FPS)):
        yield i / FPS, large[i % len(large)]


def timed(call: Callable[[], Any], repeats: int = 3) -> float:
    """Seconds, the median."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return round(float(np.median(taken)), 2)


def speed(looker: Looker, path: Path, out: Path) -> dict[str, Any]:
    pictures = [frame.numpy().copy() for _, _, frame in PyAV(num_threads=0).stream(path)]

    def decode() -> None:
        for _ in PyAV(num_threads=0).stream(path):
            pass

    def detect() -> None:
        FaceTracker(landmarks=NoLandmarks()).track(pictures)

    found = {"frames": len(pictures), "decode": timed(decode), "detect": timed(detect)}
    pictures.clear()
    found["whole"] = timed(lambda: looker.look(path, out, False, lambda *_: None))
    found["whole_with_film"] = timed(lambda: looker.look(path, out, True, lambda *_: None))
    both = found["decode"] + found["detect"]
    return found | {f"{name}_over_both": round(found[name] / both, 2) for name in ("whole", "whole_with_film")}


def memory(looker: Looker, path: Path, out: Path) -> dict[str, Any]:
    """Resident MiB at every tenth of the film."""
    process, seen = psutil.Process(), {}
    peak = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()

    def step(number: int, count: int) -> None:
        if number * 10 % count < 10:
            seen[number * 10 // count] = process.memory_info().rss // 2**20

    start = time.perf_counter()
    looker.look(path, out, True, step)
    taken = time.perf_counter() - start
    done.set()
    thread.join()
    return {"mebibytes_at_tenths": list(seen.values()), "peak_mebibytes": peak[0] // 2**20, "seconds": round(taken, 1)}


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True, help="a film of one person")
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    looker = Looker([given.checkpoint], Settings())
    result: dict[str, Any] = {"method": looker.methods[0].model, "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write(home / "short.mp4", film(given.source, 10), FPS, 23)
        result["ten_seconds"] = speed(looker, home / "short.mp4", home / "out")
        print(result["ten_seconds"], flush=True)
        write(home / "long.mp4", film(given.source, 60 * given.minutes), FPS, 23, preset="ultrafast")
        result["minutes"] = given.minutes
        result["long"] = memory(looker, home / "long.mp4", home / "out")
    print(result["long"])
    print(record("detect", result))


if __name__ == "__main__":
    main()
