"""What it costs to score a stranger's video: beside decoding and looking for faces alone, and in memory.

python -m benchmarks.speed.detect --checkpoint runs/demo --source data/studio/.../013.mp4
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.record import record
from datamodules.faces.landmarks.base import NoLandmarks
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.encode import write
from datamodules.media.video import PyAV

WIDTH, HEIGHT, FPS = 1280, 720, 30


def render_frames(source: Path, seconds: float) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """A person to and fro, in 720 lines."""
    frames = [frame.numpy().copy() for _, _, frame in PyAV().stream(source)]
    frames = frames + frames[-2:0:-1]
    side = HEIGHT
    rng = np.random.default_rng(0)
    room = cv2.GaussianBlur(rng.integers(60, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8), (0, 0), 12)
    large = []
    for frame in frames:
        image = room.copy()
        x = (WIDTH - side) // 2
        image[:, x : x + side] = cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC)
        large.append(image)
    for i in range(round(seconds * FPS)):
        yield i / FPS, large[i % len(large)]


def time_call(call: Callable[[], Any], repeats: int = 3) -> float:
    """Seconds, the median."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return round(float(np.median(taken)), 2)


def detect(checkpoint: Path, files: list[Path], out: Path, *options: str) -> tuple[float, list[int]]:
    """Seconds of the command, and what it had resident in MiB, ten times a second."""
    command = [sys.executable, "-m", "suite", "detect", *map(str, files), "--checkpoint", str(checkpoint)]
    start, seen = time.perf_counter(), []
    with subprocess.Popen([*command, "--out", str(out), *options], stdout=subprocess.DEVNULL) as running:
        process = psutil.Process(running.pid)
        while running.poll() is None:
            with contextlib.suppress(psutil.Error):
                seen.append(process.memory_info().rss // 2**20)
            time.sleep(0.1)
    if running.returncode:
        raise SystemExit(f"detect ended with {running.returncode}")
    return time.perf_counter() - start, seen


def speed(checkpoint: Path, path: Path, home: Path) -> dict[str, Any]:
    images = [frame.numpy().copy() for _, _, frame in PyAV(num_threads=0).stream(path)]

    def decode() -> None:
        for _ in PyAV(num_threads=0).stream(path):
            pass

    def search() -> None:
        FaceTracker(landmarks=NoLandmarks()).track(images)

    found: dict[str, Any] = {"frames": len(images), "decode": time_call(decode), "search": time_call(search)}
    images.clear()
    several = [path, *(home / f"short_{i}.mp4" for i in range(3))]
    for other in several[1:]:
        other.write_bytes(path.read_bytes())
    for name, copy in (("whole", "false"), ("whole_with_copy", "true")):
        # what comes on top of the first file is without the start of the command
        one, four = (
            detect(checkpoint, files, home / "out", "--annotated_copy", copy)[0] for files in (several[:1], several)
        )
        found[name], found["start"] = round((four - one) / 3, 2), round(one - (four - one) / 3, 2)
    both = found["decode"] + found["search"]
    return found | {f"{name}_over_both": round(found[name] / both, 2) for name in ("whole", "whole_with_copy")}


def memory(checkpoint: Path, path: Path, home: Path) -> dict[str, Any]:
    taken, seen = detect(checkpoint, [path], home / "out")
    tenths = [max(part.tolist()) for part in np.array_split(np.array(seen), 10)]
    return {"seconds": round(taken, 1), "most_mebibytes_of_each_tenth": tenths}


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True, help="a video of one person")
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write(home / "short.mp4", render_frames(given.source, 10), FPS, 23)
        result["ten_seconds"] = speed(given.checkpoint, home / "short.mp4", home)
        print(result["ten_seconds"], flush=True)
        write(home / "long.mp4", render_frames(given.source, 60 * given.minutes), FPS, 23, preset="ultrafast")
        result["minutes"] = given.minutes
        result["long"] = memory(given.checkpoint, home / "long.mp4", home)
    print(result["long"])
    print(record("detect", result))


if __name__ == "__main__":
    main()
