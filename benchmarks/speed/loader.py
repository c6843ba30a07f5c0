"""Samples per second that reach the training process: from videos and from crops, without and with workers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
from jsonargparse import auto_cli

from benchmarks.record import record
from datamodules.face_data import FaceData


def rate(data: FaceData, seconds: float) -> dict[str, float]:
    """Over whole epochs of training until the time is up; starting the workers is not counted."""
    loader = data.train_dataloader()
    sampler: Any = loader.sampler
    samples = 0
    start = cpu = 0.0
    for epoch in range(1000):
        sampler.set_epoch(epoch)
        for batch in loader:
            if not start:
                start, cpu = time.perf_counter(), cpu_seconds()
                continue
            samples += len(batch)
        if time.perf_counter() - start > seconds:
            break
    wall = time.perf_counter() - start
    return {
        "samples_per_s": round(samples / wall, 1),
        "cpu_ms_per_sample": round(1000 * (cpu_seconds() - cpu) / samples, 2),
        "samples": samples,
    }


def cpu_seconds() -> float:
    """CPU seconds of this process and its workers."""
    here = psutil.Process()
    times = [p.cpu_times() for p in (here, *here.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def loader(prepared: list[Path], videos: Path, seconds: float = 15.0, batch_size: int = 32) -> None:
    """Measure, print and record.

    Args:
        prepared: Folders of the same data set, prepared in different ways.
        videos: Folder of the data set.
        seconds: How long each is measured.
        batch_size: Samples per batch.
    """
    rows = []
    for folder in prepared:
        for workers in (0, 2):
            data = FaceData(prepared=folder, batch_size=batch_size, num_workers=workers, clips_per_face=16)
            kind = f"crops, {data.contract['format']} {data.contract['size']} px, {data.contract['store']}"
            rows.append({"source": kind, "workers": workers, **rate(data, seconds)})
            print(rows[-1])
    for workers in (0, 2):
        for draws in (1, 8):
            data = FaceData(
                prepared=prepared[0],
                root=videos,
                frame_source="videos",
                batch_size=batch_size,
                num_workers=workers,
                clips_per_face=draws,
            )
            rows.append({"source": f"videos, {draws} draws each", "workers": workers, **rate(data, seconds)})
            print(rows[-1])
    print(record("loader", rows))


if __name__ == "__main__":
    auto_cli(loader, as_positional=False)
