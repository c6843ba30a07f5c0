"""Sharpness-aware steps, the rise and fall of the learning rate, and a trunk that waits."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from pytorch_lightning import LightningDataModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.base import Method, Prediction
from lightning_modules.laa_net.method import LAANet
from lightning_modules.training.schedules import RiseAndFall, TwoStages, WarmUpAndCosine
from lightning_modules.training.sync_batchnorm import SyncBatchNorm
from suite.__main__ import main
from tests.conftest import small_fit, suite
from tests.fixtures.batches import batch

QUIET: dict[str, Any] = dict.fromkeys(
    ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
)


def adam(parameters: Any) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=1e-2, weight_decay=1e-4)


class Line(Method):
    """A logistic regression of the mean colours."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(optimizer=adam, **kwargs)
        torch.manual_seed(0)
        self.net = nn.Linear(3, 1)
        self.passes = 0

    def forward(self, frames: Tensor) -> Prediction:
        self.passes += 1
        return Prediction(logit=self.net(frames.mean((1, 3, 4))).flatten())

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        return {"label": F.binary_cross_entropy_with_logits(prediction.logit, batch.label.to(prediction.logit))}


class Same(LightningDataModule):
    def __init__(self, one: Batch, steps: int) -> None:
        super().__init__()
        self.one, self.steps, self.transfers = one, steps, 0

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader([self.one] * self.steps, batch_size=None)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        self.transfers += 1  # where synthesis happens
        return batch


def trained(model: Method, data: Same, **options: Any) -> Method:
    Trainer(accelerator="cpu", max_epochs=1, **QUIET, **options).fit(model, datamodule=data)
    return model


def test_two_steps_are_those_of_the_formula() -> None:
    """The gradient at w + rho g / |g|, taken from w by Adam."""
    data = Same(batch(torch.float64), 2)
    model = trained(Line(rho=0.05).double(), data)
    assert isinstance(model, Line)
    assert model.passes == 4
    assert data.transfers == 2  # a batch is changed once for both passes
    other = Line().double()
    optimizer = adam(other.parameters())
    one = data.one

    def gradient() -> list[Tensor]:
        loss = other.losses(other(one.frames), one)["label"]
        return list(torch.autograd.grad(loss, list(other.net.parameters())))

    for _ in range(2):
        before = [p.detach().clone() for p in other.net.parameters()]
        first = gradient()
        norm = torch.cat([g.flatten() for g in first]).norm()
        with torch.no_grad():
            for p, g in zip(other.net.parameters(), first, strict=True):
                p.add_(0.05 * g / norm)
        second = gradient()
        with torch.no_grad():
            for p, value, g in zip(other.net.parameters(), before, second, strict=True):
                p.copy_(value)
                p.grad = g
        optimizer.step()
    for ours, theirs in zip(model.net.parameters(), other.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_half_precision_climbs_too_and_comes_home() -> None:
    model = trained(Line(rho=0.05), Same(batch(), 3), precision="bf16-mixed")
    plain = trained(Line(), Same(batch(), 3), precision="bf16-mixed")
    assert not model.is_second_pass
    ours, without = (torch.cat([p.detach().flatten() for p in one.parameters()]) for one in (model, plain))
    assert not torch.equal(ours, without)
    torch.testing.assert_close(ours, without, atol=0.02, rtol=0)


def test_two_processes_stay_together_and_log_each_step_once(prepared: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--data.batch_size", "4", "--model.rho", "0.05"]
    options += ["--trainer.log_every_n_steps", "1", "--trainer.callbacks+=tests.fixtures.recorder.Weights"]
    done = suite(*small_fit(prepared, run, *options, "--trainer.callbacks.path", str(tmp_path / "weights")), ranks=2)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (torch.load(tmp_path / f"weights.{rank}", weights_only=True) for rank in (0, 1))
    assert one
    assert all(torch.equal(one[name], two[name]) for name in one)
    with (run / "metrics.csv").open() as f:
        steps = [row["step"] for row in csv.DictReader(f) if row["train/loss"]]
    assert len(steps) == len(set(steps))


def test_steps_that_gather_several_batches_are_refused(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(small_fit(prepared, tmp_path, "--model.rho", "0.05", "--trainer.accumulate_grad_batches", "2"))
    assert "accumulate_grad_batches 2: must be 1 with rho" in capsys.readouterr().err


def test_the_learning_rates_are_those_of_the_specification() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=5e-5)
    schedule = RiseAndFall(optimizer, epochs=100)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = {0: 5.0e-5, 1: 5.6e-5, 10: 1.1e-4, 24: 1.94e-4, 25: 2.0e-4, 50: 4 / 3 * 1e-4, 99: 2e-4 / 75}
    assert {epoch: rates[epoch] for epoch in expected} == pytest.approx(expected, rel=1e-12)
    assert optimizer.param_groups[0]["lr"] == 0


def test_the_trunk_waits_for_its_epoch_but_its_statistics_do_not(prepared: Path) -> None:
    torch.manual_seed(0)
    model = LAANet(trunk="test_efficientnet", padding_side=None, size=64, freeze_epochs=1, rho=0.05)
    trunk = model.network.trunk
    states: list[dict[str, Tensor]] = []

    def note() -> None:
        states.append({name: value.detach().clone() for name, value in trunk.state_dict().items()})

    note()
    model.on_train_epoch_end = note  # type: ignore[method-assign]
    data = FaceData(
        prepared=prepared, batch_size=4, num_workers=0, clips_per_face=2, image_size=64, synthesis=SelfBlend()
    )
    options: dict[str, Any] = {"use_distributed_sampler": False, "limit_val_batches": 0, "limit_train_batches": 2}
    Trainer(accelerator="cpu", max_epochs=2, **QUIET, **options).fit(model, datamodule=data)
    parameters = dict(trunk.named_parameters())
    assert all(torch.equal(states[0][name], states[1][name]) for name in parameters)
    assert not all(torch.equal(states[1][name], states[2][name]) for name in parameters)
    assert not torch.equal(states[0]["bn1.running_mean"], states[1]["bn1.running_mean"])


def test_a_training_without_blended_masks_is_refused(prepared: Path) -> None:
    model = LAANet(trunk="test_efficientnet", padding_side=None, size=64)
    with pytest.raises(UserError, match="learns from the soft edge of blended masks"):
        Trainer(accelerator="cpu", **QUIET).fit(model, datamodule=FaceData(prepared=prepared, num_workers=0))


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet"])
def test_norms_that_see_all_gpus_keep_their_activations(backbone: str) -> None:
    torch.manual_seed(0)
    net, x = timm.create_model(backbone).eval(), torch.randn(2, 3, 64, 64)
    before = net(x)
    synced = SyncBatchNorm().apply(net)
    assert any(isinstance(m, nn.SyncBatchNorm) for m in synced.modules())
    torch.testing.assert_close(synced(x), before)


def test_a_warm_up_rises_in_a_line_and_falls_along_a_cosine() -> None:
    schedule = WarmUpAndCosine(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0), epochs=20, warmup=0.2)
    rates = [schedule.factor(epoch) for epoch in range(21)]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[12] == pytest.approx(0.5)
    assert rates[20] == pytest.approx(0)
    assert schedule.get_last_lr() == [0.5]
    with pytest.raises(UserError, match="warmup 1: must be at least 0 and below 1"):
        WarmUpAndCosine(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0), epochs=20, warmup=1)


def test_the_second_stage_begins_at_a_tenth() -> None:
    schedule = TwoStages(
        torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), first_stage_epochs=10, second_stage_epochs=4
    )
    rates = [schedule.factor(epoch) for epoch in range(15)]
    assert rates[0] == 1
    assert rates[5] == pytest.approx(0.505)
    assert rates[10] == pytest.approx(0.1)
    assert rates[14] == pytest.approx(0)
    assert all(a > b for a, b in pairwise(rates[:10]))
