"""CPU seconds that preparing a video costs, beside decoding it: a video of the studio, enlarged."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray

from benchmarks.record import record
from datamodules.datasets.ffpp import index
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.encode import write_h264
from datamodules.media.image import Format
from datamodules.media.video import Auto
from datamodules.prepared.prepare import prepare_video
from datamodules.prepared.recipe import Recipe

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
SECONDS, FPS = 10, 30
HEAD = 0.5  # height of the studio's image over that of the frame: the face of a person who sits at a desk


def enlarge(frames: NDArray[np.uint8], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """The studio's image before a noisy wall, forth and back until the time is up."""
    width, height = size
    high = int(height * HEAD)
    wide = frames.shape[2] * high // frames.shape[1]
    wall = np.random.default_rng(0).integers(90, 140, (height // 8, width // 8, 3), dtype=np.uint8)
    wall = cv2.resize(wall, size, interpolation=cv2.INTER_CUBIC)
    there_and_back = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    for i in range(SECONDS * FPS):
        frame = wall.copy()
        head = cv2.resize(frames[there_and_back[i % len(there_and_back)]], (wide, high), interpolation=cv2.INTER_CUBIC)
        x, y = (width - wide) // 2 + round(10 * np.sin(i / 20)), height // 4
        frame[y : y + high, x : x + wide] = head
        yield frame


def cpu_of(work: object, times: int = 3) -> float:
    """Least of several runs, CPU seconds of all threads."""
    best = float("inf")
    for _ in range(times):
        begin = time.process_time()
        work()  # type: ignore[operator]
        best = min(best, time.process_time() - begin)
    return round(best, 2)


def prepare(studio: Path, format: Format = "png") -> None:
    """Measure, print and record.

    Args:
        studio: Folder of a generated data set.
        format: File format of the crops.
    """
    cv2.setNumThreads(1)
    row = next(row for row in index(studio) if row.label == 0 and row.compression == "c23")
    frames = Auto().read(studio / row.path, range(48)).numpy()
    tracker = FaceTracker()
    recipe = Recipe(decoder=Auto(), tracker=tracker, size=256, frames=32, format=format)
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, size in SIZES.items():
            path = root / f"{name}.mp4"
            write_h264(path, enlarge(frames, size), FPS, 23)
            here = replace(row, path=path.name, stem=name)

            def time_all(here: object = here, name: str = name) -> None:
                out = root / f"{name}_{time.perf_counter_ns()}"
                prepare_video(here, root, out, recipe)  # type: ignore[arg-type]
                if list(out.glob("parts/*/skipped.json")):
                    raise RuntimeError(next(out.glob("parts/*/skipped.json")).read_text())

            def time_decoding(path: Path = path) -> None:
                for _ in Auto().stream(path):
                    pass

            both = {"prepare_cpu_s": cpu_of(time_all), "decoding_alone_cpu_s": cpu_of(time_decoding)}
            result[name] = both | {"frames": SECONDS * FPS, "megabytes": round(path.stat().st_size / 1e6, 2)}
            print(name, result[name])
    record("prepare", result)


if __name__ == "__main__":
    auto_cli(prepare, as_positional=False)
