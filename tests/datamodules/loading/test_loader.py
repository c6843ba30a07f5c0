"""A loader disturbs nothing of what trains beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from datamodules.face_data import FaceData


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_takes_no_draw_from_the_generator_of_dropout(workers: int, prepared: Path) -> None:
    data = FaceData(prepared=prepared, batch_size=4, num_workers=workers, clips_per_face=1, eval_clips=1)
    before = torch.get_rng_state()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.candidates(1)):
        for _ in range(2):  # workers that stay draw in the first epoch of a process alone
            next(iter(loader))
        assert torch.equal(torch.get_rng_state(), before)
