"""A loader disturbs nothing of what trains beside it, nor is it disturbed."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datamodules.face_data import FaceData
from tests.fixtures.processes import START


def load(prepared: Path, workers: int) -> FaceData:
    return FaceData(prepared=prepared, batch_size=4, num_workers=workers, clips_per_face=1, eval_clips=1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_takes_no_draw_from_the_generator_of_dropout(workers: int, prepared: Path) -> None:
    data = load(prepared, workers)
    before = torch.get_rng_state()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.candidates(1)):
        for _ in range(2):  # workers that stay draw in the first epoch of a process alone
            next(iter(loader))
        assert torch.equal(torch.get_rng_state(), before)


def read_after_drawing(prepared: Path) -> None:
    """In a process of its own, which may wait for ever."""
    cv2.setNumThreads(4)
    cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (3000, 3000))  # as panels are, by several threads
    next(iter(load(prepared, 1).train_dataloader()))
    assert cv2.getNumThreads() == 4


def test_workers_begin_after_opencv_has_used_its_threads(prepared: Path) -> None:
    process = multiprocessing.get_context(START).Process(target=read_after_drawing, args=(prepared,))
    process.start()
    process.join(60)
    process.kill()
    assert process.exitcode == 0
