"""What reading a video costs by each decoder: all of its frames, and a few as training takes them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.speed.prepare import FPS, SIZES, enlarge
from datamodules.datasets.ffpp import index
from datamodules.media.encode import write_h264
from datamodules.media.probe import probe
from datamodules.media.video import Auto, Decoder, Decord, PyAV, TorchCodec
from datamodules.spacing import space_evenly

DECODERS: dict[str, Decoder] = {
    "decord": Decord(),
    "PyAV": PyAV(),
    "PyAV, all cores": PyAV(num_threads=0),
    "torchcodec": TorchCodec(),
    "Auto": Auto(),
}
FEW = 8  # frames of a video


def costs(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Least wall and CPU seconds of several runs; those of all threads."""
    wall, cpu = [], []
    for _ in range(times):
        begin, busy = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - busy)
    return min(wall), min(cpu)


def decoders(studio: Path, times: int = 5) -> None:
    """Measure, print and record.

    Args:
        studio: Folder of a generated data set.
        times: Runs of each, of which the fastest counts.
    """
    torch.set_num_threads(1)
    row = next(row for row in index(studio) if row.label == 0 and row.compression == "c23")
    frames = PyAV().read(studio / row.path, range(48)).numpy()
    wall = np.random.default_rng(0)
    result = []
    with tempfile.TemporaryDirectory() as folder:
        still, grainy = Path(folder) / "still.mp4", Path(folder) / "grainy.mp4"
        write_h264(still, enlarge(frames, SIZES["720p"]), FPS, 23)
        grain = ((f + wall.normal(0, 6, f.shape)).clip(0, 255).astype(np.uint8) for f in enlarge(frames, SIZES["720p"]))
        write_h264(grainy, grain, FPS, 23)
        for path in (still, grainy):
            known = probe(path)
            count = len(known)
            few = space_evenly(count, FEW)
            for name, decoder in DECODERS.items():
                everything = costs(lambda d=decoder, p=path: [None for _ in d.stream(p)], times)  # type: ignore[misc]
                sparse = costs(lambda d=decoder, p=path, w=few: d.read(p, w), times)  # type: ignore[misc]
                result.append(
                    {
                        "file": f"720p, {path.stem}",
                        "mbit_per_s": round(path.stat().st_size * 8e-6 / known.seconds, 2),
                        "decoder": name,
                        "frames_per_s": round(count / everything[0]),
                        "cpu_ms_per_frame": round(1000 * everything[1] / count, 2),
                        f"ms_to_read_{FEW}_frames": round(1000 * sparse[0]),
                        f"cpu_ms_to_read_{FEW}_frames": round(1000 * sparse[1]),
                    }
                )
                print(result[-1])
    record("decoders", result)


if __name__ == "__main__":
    auto_cli(decoders, as_positional=False)
