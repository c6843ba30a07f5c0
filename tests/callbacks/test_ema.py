"""The average over the latest steps, which is what is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.optim.swa_utils import AveragedModel

from callbacks.ema import EMA
from datamodules.face_data import FaceData
from tests.fixtures.small_methods import METHODS


def averaged(steps: int, decay: float = 0.99) -> tuple[torch.nn.Module, torch.nn.Module]:
    """A batch norm that saw activations of a small variance, and its average."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    mean = AveragedModel(net, **EMA(decay)._kwargs, use_buffers=True)
    for _ in range(steps):
        net(0.05 * torch.randn(16, 3, 8, 8))
        mean.update_parameters(net)
    return net, mean.module


def test_the_average_forgets_what_a_batch_norm_began_with() -> None:
    net, mean = averaged(300)
    now, kept = net[1].running_var, mean[1].running_var  # type: ignore[index]
    assert now.max() < 0.01  # it began with 1, of which 0.99 ** 300 is 0.05
    torch.testing.assert_close(kept, now, rtol=0.1, atol=0)
    assert mean[1].num_batches_tracked == 300  # type: ignore[index]


def test_the_average_follows_slowly_once_it_has_seen_enough() -> None:
    net, mean = averaged(2000)
    before = mean[0].bias.clone()  # type: ignore[index]
    with torch.no_grad():
        net[0].bias.add_(1.0)  # type: ignore[index]
    average = AveragedModel(mean, **EMA(0.99)._kwargs, use_buffers=True)
    average.n_averaged += 2000
    average.update_parameters(net)
    torch.testing.assert_close(average.module[0].bias, before + 0.01, rtol=0, atol=1e-5)  # type: ignore[index]


def test_a_first_stage_keeps_the_error_that_validation_found_beside_averaged_weights(
    prepared: Path, tmp_path: Path
) -> None:
    plain: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    kept = ModelCheckpoint(tmp_path, "one")
    trainer = Trainer(**plain, max_epochs=1, callbacks=[EMA(0.9), kept], default_root_dir=tmp_path)
    data = FaceData(prepared=prepared, methods=[], batch_size=4, num_workers=0, clips_per_face=8, eval_clips=2)
    trainer.fit(METHODS["Recover"](), data)
    state = torch.load(tmp_path / "one.ckpt", weights_only=False)["state_dict"]
    assert state["real_error"] == trainer.callback_metrics["val/real_error"] > 0
