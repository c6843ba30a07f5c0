"""CPU milliseconds that a pair of a real face and its self-blended forgery costs, targets of LAA-Net included."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from jsonargparse import auto_cli

from benchmarks.record import record
from datamodules.base import FaceData
from datamodules.batch import Batch
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.laa.targets import boundary_of, encode


def synthesis(prepared: Path, size: int = 256, out: int = 384, batch_size: int = 16, seconds: float = 15.0) -> None:
    """Measure, print and record.

    Args:
        prepared: Folder that 'python -m suite prepare' filled.
        size: Side of the faces.
        out: Side of the pairs.
        batch_size: Pairs made at once.
        seconds: How long each is measured.
    """
    data = FaceData(prepared=prepared, image_size=size, batch_size=batch_size, num_workers=0, synthesis=SelfBlend())
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    blend = SelfBlend(size=out)

    def pair() -> Batch:
        made: Batch = blend(batch)
        return made

    def both() -> None:
        encode(boundary_of(pair().mask[:, 0, 0], out // 4, out // 4))

    result = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for name, work in (("pairs", pair), ("pairs and targets", both)):
            torch.manual_seed(0)
            work()
            wall, cpu, count = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - wall < seconds:
                work()
                count += len(batch)
            spent = {
                "wall_ms_per_pair": round((time.perf_counter() - wall) / count * 1000, 2),
                "cpu_ms_per_pair": round((time.process_time() - cpu) / count * 1000, 2),
            }
            result[f"{name}, {threads} thread{'s' if threads > 1 else ''}"] = spent
            print(name, threads, spent)
    record("synthesis", {"size": size, "out": out, "batch_size": batch_size, **result})


if __name__ == "__main__":
    auto_cli(synthesis, as_positional=False)
