"""What published recipes of fine-tuning add: rates by layer, mixed images, rates by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, Trainer
from timm.optim._param_groups import param_groups_layer_decay
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from lightning_modules.classifier import Classifier
from lightning_modules.mixing import Mixing, cut
from lightning_modules.training.stepwise import WarmUpAndRestarts
from tests.conftest import ROOT
from tests.fixtures.configs import read_config
from tests.fixtures.noise import clips

VIT: dict[str, Any] = {"backbone": "test_vit", "img_size": 64}


def adam(parameters: Any) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=1.0, weight_decay=0.05)


def test_rates_fall_by_layer_and_only_matrices_decay_as_in_timm() -> None:
    model = Classifier(**VIT, layer_decay=0.65, optimizer=adam)
    optimizer: Any = model.configure_optimizers()
    by_parameter = {p: (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    found = {name: by_parameter[p] for name, p in model.net.named_parameters()}
    depth = len(model.net.blocks)
    assert found["cls_token"] == found["pos_embed"] == (pytest.approx(0.65 ** (depth + 1)), 0.0)
    assert found["patch_embed.proj.weight"] == (pytest.approx(0.65 ** (depth + 1)), 0.05)
    assert found["blocks.0.attn.qkv.weight"] == (pytest.approx(0.65**depth), 0.05)
    assert found[f"blocks.{depth - 1}.mlp.fc1.bias"] == (pytest.approx(0.65), 0.0)
    assert (found["head.weight"], found["head.bias"]) == ((1.0, 0.05), (1.0, 0.0))
    net: Any = timm.create_model("test_vit", num_classes=1, img_size=64)
    names = {p: name for name, p in net.named_parameters()}
    theirs = param_groups_layer_decay(net, 0.05, net.no_weight_decay(), layer_decay=0.65)
    for group in theirs:
        for p in group["params"]:
            if names[p].startswith(
                "norm."
            ):  # which timm counts to the last block, and the published recipe to the head
                continue
            assert found[names[p]] == (pytest.approx(group["lr_scale"]), group["weight_decay"]), names[p]


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"backbone": "test_resnet", "layer_decay": 0.5}, "layer_decay 0.5: ResNet has no layers of a transformer"),
        (VIT | {"layer_decay": 0.0}, "layer_decay 0: must be above 0"),
        (VIT | {"mixing": Mixing(), "alignment": 0.1}, "mixing: mixed images are of no class"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        Classifier(**given)


def test_mixing_needs_shares() -> None:
    with pytest.raises(UserError, match="mixup and cutmix must be above 0"):
        Mixing(mixup=0)


def mixed(switch: float, seed: int = 0, **given: Any) -> tuple[Batch, Tensor, Tensor]:
    batch = clips(4, 2)
    batch.label = torch.tensor([0, 1, 1, 1])
    frames, target = Mixing(switch=switch, **given)(batch.frames, batch.label, torch.Generator().manual_seed(seed))
    return batch, frames, target


def test_mixup_is_a_weighted_mean_of_images_and_of_labels_alike() -> None:
    batch, frames, target = mixed(0.0, smoothing=0.0)
    share = float(target[3])  # of the fourth, forged, with the first, real
    assert 0 < share < 1
    assert target.tolist() == pytest.approx([1 - share, 1, 1, share])
    torch.testing.assert_close(frames, share * batch.frames + (1 - share) * batch.frames.flip(0))
    soft = mixed(0.0, smoothing=0.1)[2]
    torch.testing.assert_close(soft, target * 0.9 + 0.05)


def test_cutmix_takes_a_box_whose_area_is_its_label() -> None:
    for seed in range(5):
        batch, frames, target = mixed(1.0, seed, smoothing=0.0)
        is_other = (frames != batch.frames).any(2)  # (B, T, H, W)
        torch.testing.assert_close(frames, torch.where(is_other[:, :, None], batch.frames.flip(0), batch.frames))
        assert target[3] == pytest.approx(1 - is_other[3, 0].float().mean().item(), abs=1e-6)
        assert torch.equal(is_other[:, 0], is_other[:, 1])
    rng = np.random.default_rng(0)
    sides = [one.stop - one.start for one in (cut(100, 0.75, rng) for _ in range(200))]
    assert max(sides) == 50  # half the side is a quarter of the area


def test_shares_are_of_the_published_distribution() -> None:
    found = np.array([float(mixed(0.0, seed, smoothing=0.0)[2][3]) for seed in range(300)])
    # Beta(0.8, 0.8)
    assert found.mean() == pytest.approx(0.5, abs=0.05)
    assert found.var() == pytest.approx(1 / (4 * (2 * 0.8 + 1)), abs=0.02)


def test_a_training_step_sees_mixed_images_and_soft_labels_and_a_test_neither() -> None:
    torch.manual_seed(0)
    model, batch = Classifier(**VIT, mixing=Mixing(switch=0.0)), clips(4, 1)
    batch.label = torch.tensor([0, 1, 0, 1])
    frames, target = Mixing(switch=0.0)(batch.frames, batch.label, model.draws())
    loss = model.losses(model.train().predict(batch), batch)["label"]
    expected = F.binary_cross_entropy_with_logits(model(frames).logit, target)
    torch.testing.assert_close(loss, expected)
    plain = model.eval().predict(batch)
    torch.testing.assert_close(plain.logit, model(batch.frames).logit)
    torch.testing.assert_close(model.losses(plain, batch)["label"], model.label_loss(plain.logit, batch))


def rates(schedule: dict[str, Any], lr: float, steps: int, epochs: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    made = WarmUpAndRestarts(optimizer, **{name: float(value) for name, value in schedule.items()})
    made.steps_per_epoch = steps
    out = []
    for _ in range(steps * epochs):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return out


def test_gend_warms_up_for_an_epoch_and_restarts_every_ten() -> None:
    given = read_config(ROOT / "configs/classifier_gend_clip.yaml")
    found = rates(given["model"]["init_args"]["scheduler"]["init_args"], 3e-4, 10, given["trainer"]["max_epochs"])
    expected = {0: 1e-5, 5: 1.55e-4, 10: 3e-4, 60: 1.55e-4, 110: 3e-4, 210: 3e-4}
    assert {step: found[step] for step in expected} == pytest.approx(expected)
    assert found[109] == pytest.approx(1e-5, abs=1e-7)


def test_fs_vfm_warms_up_for_five_epochs_and_ends_at_a_millionth() -> None:
    given = read_config(ROOT / "configs/classifier_fs_vfm.yaml")
    model = given["model"]["init_args"]
    found = rates(model["scheduler"]["init_args"], 6.25e-5, 100, given["trainer"]["max_epochs"])
    assert (found[0], found[250], found[500]) == (0, pytest.approx(3.125e-5), pytest.approx(6.25e-5))
    assert found[-1] == pytest.approx(1e-6, rel=0.01)
    assert (model["layer_decay"], model["optimizer"]["init_args"]["weight_decay"]) == (0.65, 0.05)
    assert Mixing(**model["mixing"]) == Mixing(mixup=0.8, cutmix=1.0, switch=0.5, smoothing=0.1)


def test_in_a_training_rates_change_with_every_step_and_by_layer(prepared: Path) -> None:
    seen: list[list[float]] = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            seen.append([group["lr"] for group in trainer.optimizers[0].param_groups])

    def schedule(optimizer: torch.optim.Optimizer) -> WarmUpAndRestarts:
        return WarmUpAndRestarts(optimizer, warmup=1.0, period=1.0, start=0.25)

    model = Classifier(**VIT, layer_decay=0.5, optimizer=adam, scheduler=schedule)
    data = FaceData(prepared=prepared, batch_size=4, num_workers=0, clips_per_face=2, image_size=64)
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    options: dict[str, Any] = {"use_distributed_sampler": False, "limit_val_batches": 0, "limit_train_batches": 4}
    Trainer(accelerator="cpu", max_epochs=2, callbacks=[Watch()], **quiet, **options).fit(model, datamodule=data)
    assert [rates[-1] for rates in seen[:5]] == pytest.approx([0.25, 0.4375, 0.625, 0.8125, 1.0])
    assert seen[6][-1] == pytest.approx(0.5)
    depth = len(model.net.blocks)
    assert [rates[0] / rates[-1] for rates in seen] == pytest.approx([0.5 ** (depth + 1)] * len(seen))
