"""CPU milliseconds that a pair of a real face and a forgery made from it costs, targets of LAA-Net included."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli

from benchmarks.record import record
from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.synthesis.base import Synthesis
from datamodules.synthesis.face_blend import FaceBlend
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.laa_net.targets import encode

KINDS: dict[str, type[Synthesis]] = {"self-blended": SelfBlend, "two faces blended": FaceBlend}


def faces(prepared: Path, kind: type[Synthesis], size: int, count: int) -> Batch:
    """Real faces on the device, and their sources."""
    data = FaceData(prepared=prepared, image_size=size, batch_size=count, num_workers=0, synthesis=kind())
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    return batch.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def time_work(work: Callable[[], object], seconds: float, pairs: int) -> dict[str, float]:
    """Of each pair, the median over calls: shared cores are noisy."""

    def read_clocks() -> tuple[float, float]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    torch.manual_seed(0)
    work()
    start, each = read_clocks()[0], []
    while read_clocks()[0] - start < seconds:
        wall, cpu = read_clocks()
        work()
        end = read_clocks()
        each.append((end[0] - wall, end[1] - cpu))
    wall_ms, cpu_ms = torch.tensor(each, dtype=torch.float64).median(0).values.mul(1000 / pairs).tolist()
    return {"wall_ms_per_pair": round(wall_ms, 2), "cpu_ms_per_pair": round(cpu_ms, 2)}


def synthesis(prepared: Path, size: int = 256, out: int = 384, batch_size: int = 16, seconds: float = 15.0) -> None:
    """Measure, print and record.

    Args:
        prepared: Folder that 'python -m suite prepare' filled.
        size: Side of the faces.
        out: Side of the pairs.
        batch_size: Pairs made at once.
        seconds: How long each is measured.
    """
    result: dict[str, Any] = {"size": size, "out": out, "batch_size": batch_size}
    for name, kind in KINDS.items():
        batch = faces(prepared, kind, size, batch_size)
        blend = kind(size=out)
        pairs = batch_size

        def targets(blend: Synthesis = blend, batch: Batch = batch) -> None:
            boundary = blend(batch).boundary
            assert boundary is not None
            encode(boundary[:, 0, 0].float())

        for threads in (1, 2) if not torch.cuda.is_available() else (1,):
            torch.set_num_threads(threads)
            for what, work in (("", lambda blend=blend, batch=batch: blend(batch)), (" and targets", targets)):
                key = f"{name}{what}, {threads} thread{'s' if threads > 1 else ''}"
                result[key] = time_work(work, seconds, pairs)
                print(key, result[key], flush=True)
    record("synthesis", result)


if __name__ == "__main__":
    auto_cli(synthesis, as_positional=False)
