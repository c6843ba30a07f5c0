"""CPU milliseconds that the motion map of a face mesh costs; a plain loop over triangles and OpenCV beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jsonargparse import auto_cli
from torch import Tensor

from benchmarks.record import record
from benchmarks.speed.synthesis import time_work
from datamodules.face_data import FaceData
from lightning_modules.st_ddl.mesh import TRIANGLES, mesh_motion


def draw_by_opencv(points: Tensor, moved: Tensor, side: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Each triangle filled by OpenCV and moved by its affine map."""
    out = np.zeros((2, side, side), np.float32)
    for triangle in TRIANGLES.tolist():
        here, there = points[triangle].numpy(), moved[triangle].numpy()
        low = np.floor(here.min(0)).astype(int).clip(0, side - 1)
        high = np.ceil(here.max(0)).astype(int).clip(0, side - 1) + 1
        inside = np.zeros(high[::-1] - low[::-1], np.uint8)
        cv2.fillConvexPoly(inside, (here - low).round().astype(np.int32), (1,))
        matrix = cv2.getAffineTransform(here, there)
        y, x = inside.nonzero()
        x, y = x + low[0], y + low[1]
        out[:, y, x] = matrix @ np.stack([x, y, np.ones_like(x)]) - np.stack([x, y])
    return out


def faces(prepared: Path, side: int, count: int) -> Tensor:
    """(N, 68, 2) landmarks of real faces in crops of a size."""
    data = FaceData(prepared=prepared, image_size=side, batch_size=count, num_workers=0)
    return next(iter(data.train_dataloader())).landmarks[:, 0]


def benchmark(prepared: Path, seconds: float = 5.0) -> None:
    """Measure, print and record.

    Args:
        prepared: Folder that 'python -m suite prepare' filled.
        seconds: How long each is measured.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    result: dict[str, Any] = {}
    for side, batch in ((512, 1), (512, 4), (128, 1), (128, 16), (128, 64)):
        points = faces(prepared, side, batch)
        moved = points + torch.randn(points.shape, generator=torch.Generator().manual_seed(0))
        share = round(float(mesh_motion(points, moved, side, side)[:, 2].mean()), 3)
        spent = time_work(partial(mesh_motion, points, moved, side, side), seconds, batch)
        result[f"{side} px, {batch} at once"] = {"ms_per_map": spent["cpu_ms_per_pair"], "share_within": share}
        if batch == 1:
            spent = time_work(partial(draw_by_opencv, points[0], moved[0], side), seconds, 1)
            result[f"{side} px, OpenCV in a loop"] = {"ms_per_map": spent["cpu_ms_per_pair"]}
    for name, spent in result.items():
        print(name, spent)
    print(record("mesh_motion", result))


if __name__ == "__main__":
    auto_cli(benchmark, as_positional=False)
