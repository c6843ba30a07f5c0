"""Delocate: what is recovered, mapped and localized, and steps that must help on what was held back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from lightning_modules.delocate.method import Delocate, MappingPrediction
from lightning_modules.delocate.unet import Gates, UNet
from suite.__main__ import main
from tests.conftest import FEW_CLIPS, FEW_FACES, suite
from tests.fixtures.second_proofs import mark_slow
from tests.fixtures.tiny_delocate import tiny


@pytest.fixture(scope="module")
def batch(prepared: Path) -> Batch:
    data = FaceData(prepared=prepared, batch_size=16, clips_per_face=2, num_workers=0)
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


def found_by(model: Delocate, batch: Batch) -> MappingPrediction:
    prediction = model.predict(batch)
    assert isinstance(prediction, MappingPrediction)
    return prediction


def test_a_recovered_patch_fades_in_and_nothing_changes_outside(batch: Batch) -> None:
    found = found_by(tiny().eval(), batch)
    assert found.recovered is not None
    outside = (found.is_recovered == 0).expand_as(batch.frames)
    assert torch.equal(found.recovered[outside], batch.frames[outside])
    one = torch.zeros(1, 1, 64, 64)
    one[..., 16:40, 16:40] = 1
    weight = tiny(feather=2).feather_mask(one)[0, 0, 28]
    assert weight[14:16].tolist() == [0, 0]
    assert (weight[15:23].diff() >= 0).all()
    assert 0 < weight[16] < 0.5
    assert weight[24] == 1


def test_the_mask_is_as_large_as_the_face_and_the_classifier_sees_the_parts(batch: Batch) -> None:
    model = tiny().eval()
    found = found_by(model, batch)
    assert found.mask_logit is not None
    assert found.mask_logit.shape == batch.mask.shape
    assert model.classifier[1].in_features == model.unet.width + 3 + 48
    assert tiny(sees_class=False).classifier[1].in_features == model.unet.width + 3
    assert found_by(tiny(sees_class=False, mapping_width=0).eval(), batch).logit.isfinite().all()


@pytest.mark.parametrize("sees_class", [True, False])
def test_what_is_kept_of_a_face_is_what_would_be_recovered_again(batch: Batch, sees_class: bool) -> None:
    plain, keeps = (tiny(sees_class=sees_class, cache=cache).train() for cache in (False, True))
    calls: list[int] = []
    keeps.generator.register_forward_hook(lambda *_: calls.append(1))
    found, again = found_by(plain, batch), found_by(keeps, batch)
    assert found.recovered is not None
    torch.testing.assert_close(again.recovered, found.recovered, rtol=0, atol=1e-3)
    assert torch.equal(again.is_recovered, found.is_recovered)
    # in another order, and one of them for the first time
    some = tiny(sees_class=sees_class, cache=True).train()
    assert some.kept is not None
    found_by(some, batch.rows(torch.tensor([3, 1, 2])))
    order = torch.tensor([2, 0, 3, 1])
    again = found_by(some, batch.rows(order))
    torch.testing.assert_close(again.recovered, found.recovered[order], rtol=0, atol=1e-3)
    made = plain.recover_parts(batch)
    for mine, theirs in zip(some.kept.get_or_make(batch.rows(order), some.recover_parts), made, strict=True):
        torch.testing.assert_close(mine, theirs[order], rtol=0, atol=4e-3)
    once = len(calls)
    with torch.autocast("cpu", torch.bfloat16):
        found_by(keeps, batch)
    assert len(calls) == once


def test_gates_let_through_the_larger_of_channel_and_place() -> None:
    torch.manual_seed(0)
    gates, x = Gates(8), torch.randn(2, 8, 5, 5)
    channel = gates.channel(F.adaptive_avg_pool2d(x, 1)).sigmoid().expand_as(x)
    place = gates.place(x).sigmoid().expand_as(x)
    expected = torch.where(channel > place, x * channel, x * place)
    torch.testing.assert_close(gates(x), expected)


@pytest.mark.parametrize("encoder", ["test_resnet", "resnet18", "test_efficientnet"])
def test_a_unet_of_grouped_norms_scores_a_face_the_same_in_any_batch(encoder: str) -> None:
    torch.manual_seed(0)
    net, x = UNet(encoder, 9, widths=(32, 24, 16, 16), groups=True).train(), torch.randn(3, 9, 64, 64)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    if encoder != "test_efficientnet":  # which drops paths in training
        torch.testing.assert_close(net(x)[0][:1], net(x[:1])[0], rtol=1e-4, atol=1e-5)


def test_each_loss_is_what_its_definition_says(batch: Batch) -> None:
    model = tiny().eval()
    found = found_by(model, batch)
    losses = model.losses(found, batch)
    expected = []
    for i, label in enumerate(batch.label.tolist()):
        region = found.is_recovered[i] > 0
        if label and batch.has_mask[i]:
            region &= batch.mask[i] > 0.5
        if region.any():
            distance = found.distance[i][region].mean()
            expected.append(max(0.0, 0.1 - float(distance)) if label else float(distance))
    assert float(losses["mapping"]) == pytest.approx(0.1 * sum(expected) / len(batch), rel=1e-4)
    assert found.mask_logit is not None
    p, t = found.mask_logit.sigmoid(), batch.mask
    cross = F.binary_cross_entropy(p, t)
    fakes = (batch.label == 1).nonzero().flatten().tolist()
    overlap = [1 - (2 * (p[i] * t[i]).sum() + 1) / (p[i].sum() + t[i].sum() + 1) for i in fakes]
    assert float(losses["mask"]) == pytest.approx(float(cross + torch.stack(overlap).mean()), rel=1e-4)


def test_the_mapping_draws_reals_near_and_pushes_fakes_away(batch: Batch) -> None:
    model = tiny(map_weight=1.0)
    assert model.mapping is not None
    optimizer = torch.optim.Adam(model.mapping.parameters(), 1e-2)
    before: Any = None
    for _ in range(25):
        found = found_by(model, batch)
        loss = model.mapping_loss(found, batch)
        before = before or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.8 * before


def test_every_parameter_that_trains_has_a_gradient_and_the_generator_none(batch: Batch) -> None:
    model = tiny(mask_weight=0.0)  # as in the ablation, under several processes
    torch.stack(list(model.losses(model.predict(batch), batch).values())).sum().backward()
    for name, p in model.named_parameters():
        assert (p.grad is None) is name.startswith("generator."), name


def test_rows_of_a_batch_keep_what_belongs_together(batch: Batch) -> None:
    some = batch.rows(torch.tensor([3, 0]))
    assert some.video == [batch.video[3], batch.video[0]]
    assert some.people == [batch.people[3], batch.people[0]]
    assert torch.equal(some.frames, batch.frames[[3, 0]])
    assert len(some) == 2


def arguments(prepared: Path, run: Path, weights: Path, *options: str) -> list[str]:
    overlay = ["--config", "configs/delocate.yaml", "--config", "configs/studio/scratch/delocate.yaml"]
    small = ["--data.prepared", str(prepared), "--model.generator.size", "64", "--data.image_size", "64"]
    small += ["--model.generator_weights", str(weights), "--data.batch_size", "8", "--data.num_workers", "0"]
    small += ["--data.eval_clips", "2", "--data.clips_per_face", "1", "--trainer.max_epochs", "1", "--run", str(run)]
    return ["fit", *overlay, *small, *FEW_FACES, "--trainer.accelerator", "cpu", *options]


@pytest.fixture(scope="module")
def stage_one(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("recover") / "run"
    overlay = ["--config", "configs/delocate_pretrain.yaml", "--config", "configs/studio/scratch/mae.yaml"]
    small = ["--data.prepared", str(prepared), "--model.generator.size", "64", "--data.image_size", "64"]
    small += [
        *FEW_CLIPS,
        "--trainer.max_epochs",
        "1",
        "--trainer.check_val_every_n_epoch",
        "1",
        "--trainer.accelerator",
        "cpu",
    ]
    main(["fit", *overlay, *small, *FEW_FACES, "--run", str(run)])
    return run / "checkpoints/best.ckpt"


@pytest.mark.parametrize("split", mark_slow(["people", "methods"], ["methods"]))
def test_meta_learning_trains_in_one_process(prepared: Path, stage_one: Path, tmp_path: Path, split: str) -> None:
    main(arguments(prepared, tmp_path / "run", stage_one, "--model.split", split))
    state = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    wanted = torch.load(stage_one, weights_only=True)["state_dict"]
    for name in ("mask_token", "blocks.0.attn.qkv.weight"):
        assert torch.equal(state[f"generator.{name}"], wanted[f"generator.{name}"])
    assert (tmp_path / "run/panels/val.png").exists()


def test_two_processes_stay_together_under_meta_learning(prepared: Path, stage_one: Path, tmp_path: Path) -> None:
    keeper = ["--data.batch_size", "4", "--trainer.callbacks+=tests.fixtures.recorder.Weights"]
    keeper += ["--trainer.callbacks.path", str(tmp_path / "weights")]
    done = suite(*arguments(prepared, tmp_path / "run", stage_one, *keeper), ranks=2)
    assert done.returncode == 0, done.stderr[-2000:]
    one, other = (torch.load(tmp_path / f"weights.{rank}", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_second_stage_without_what_it_needs_is_refused(
    prepared: Path, stage_one: Path, tmp_path: Path, batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    for weights, options, said in (
        ("null", [], "give --model.generator_weights, for instance runs/delocate_pretrain"),
        (str(stage_one), ["--model.rho", "0.05"], "a step of meta-learning passes a batch twice already"),
        (str(stage_one), ["--trainer.accumulate_grad_batches", "2"], "accumulate_grad_batches 2: must be 1"),
        (str(stage_one), ["--data.methods", "[Swap]"], "split 'methods': there is one forgery in training"),
        (str(stage_one), ["--model.widths", "[8, 8]"], "widths [8, 8]: encoder 'test_resnet' wants 4 of them"),
    ):
        with pytest.raises(SystemExit):
            main([*arguments(prepared, tmp_path / "run", stage_one), "--model.generator_weights", weights, *options])
        assert said in capsys.readouterr().err
    blind = replace(batch, has_landmarks=torch.arange(16) != 3)
    with pytest.raises(UserError, match="was prepared without landmarks"):
        tiny().predict(blind)
