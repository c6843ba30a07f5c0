"""Training steps as a GPU wants them, held without one: few operations, and none that waits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy, Strategy
from torch import nn

from datamodules.augment.augment import Augment
from datamodules.augment.jpeg import Subsampling, code_jpeg
from datamodules.augment.jpeg_blocks import compress, tables
from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import Framing
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.base import Method
from lightning_modules.delocate import meta_learning
from lightning_modules.laa_net.method import LAANet
from lightning_modules.needed_landmarks import require_landmarks
from lightning_modules.training.sam import check_strategy, perturb, restore
from tests.fixtures.counting import Operations

OPERATIONS = 260  # of a synthesis


def batch(b: int, side: int = 64) -> Batch:
    return Batch(
        frames=torch.rand(b, 1, 3, side, side),
        label=torch.zeros(b, dtype=torch.long),
        mask=torch.zeros(b, 1, 1, side, side),
        has_mask=torch.ones(b, dtype=torch.bool),
        landmarks=torch.rand(b, 1, 68, 2) * (side - 1),
        has_landmarks=torch.ones(b, dtype=torch.bool),
        video=[f"studio/real/c23/{i}" for i in range(b)],
        people=[""] * b,
        track=torch.zeros(b, dtype=torch.long),
        numbers=torch.zeros(b, 1, dtype=torch.long),
        is_counted=torch.ones(b, dtype=torch.bool),
    )


@pytest.mark.parametrize("layers", [3, 300])
def test_the_way_to_the_second_pass_and_back_takes_few_operations_whatever_the_network(layers: int) -> None:
    parameters = [nn.Parameter(torch.rand(4, 4, device="meta")) for _ in range(layers)]
    for p in parameters:
        p.grad = torch.rand(4, 4, device="meta")
    with Operations() as sharpness:
        restore(perturb(parameters, 0.05))
    with Operations() as trial:
        meta_learning.restore(meta_learning.descend(parameters, 1e-3), 1.0)
    assert sharpness.total <= 12
    assert trial.total <= 10


def test_parameters_that_overflowed_stay_where_they_are() -> None:
    p = nn.Parameter(torch.ones(3))
    p.grad = torch.tensor([1.0, torch.inf, torch.nan])
    home = perturb([p], 0.05, may_overflow=True)
    assert p.tolist() == [1.0, 1.0, 1.0]
    restore(home)
    assert p.tolist() == [1.0, 1.0, 1.0]


def test_rows_that_do_not_count_have_no_say_in_the_loss_of_labels() -> None:
    one = batch(4)
    one.label = torch.tensor([0, 1, 1, 0])
    one.is_counted = torch.tensor([True, False, True, True])
    logit = torch.tensor([0.5, 9.0, -1.0, 2.0], requires_grad=True)
    loss = Method.label_loss(logit, one)
    # -log of 1 - s(0.5), of s(-1) and of 1 - s(2), by hand
    assert loss.item() == pytest.approx((0.974077 + 1.313262 + 2.126928) / 3, abs=1e-5)
    loss.backward()
    assert logit.grad is not None
    assert logit.grad[1] == 0


def test_labels_and_landmarks_are_learnt_from_without_a_wait() -> None:
    one = batch(4).to("meta")
    Method.label_loss(torch.zeros(4, device="meta"), one)
    assert require_landmarks(one).is_meta
    one.has_landmarks = torch.tensor([True, False, True, True])
    with pytest.raises(UserError, match="studio/real/c23/1: was prepared without landmarks"):
        require_landmarks(one.to("meta"))


def face(b: int, side: int = 128) -> Batch:
    """Points of a face, so that hulls are those of one."""
    one = batch(b, side)
    g = torch.Generator().manual_seed(0)
    angle = torch.arange(17) * torch.pi / 16
    jaw = torch.stack([0.5 - 0.25 * angle.cos(), 0.45 + 0.35 * angle.sin()], 1)
    x, y = torch.linspace(0.3, 0.7, 10), torch.full((10,), 0.35)
    rest = 0.3 + 0.4 * torch.rand(41, 2, generator=g)
    points = torch.cat([jaw, torch.stack([x, y], 1), rest])
    one.landmarks = side * (points + 0.02 * torch.rand(b, 1, 68, 2, generator=g))
    smooth = torch.rand(b, 3, side // 8, side // 8, generator=g)
    one.frames = torch.nn.functional.interpolate(smooth, (side, side), mode="bicubic").clamp(0, 1)[:, None]
    return one


def blended(one: Batch, is_gpu: bool, seeds: list[int] | None, **options: Any) -> Batch:
    torch.manual_seed(1)
    synthesis = SelfBlend(size=192, **options)
    synthesis.framing = Framing(cut=(0.02, 0.09), equal_sides=False)
    (synthesis.train if seeds is None else synthesis.eval)()
    one = replace(one, frames=one.frames.clone(), landmarks=one.landmarks.clone())
    with pytest.MonkeyPatch.context() as patch:
        if is_gpu:
            patch.setattr(torch.Tensor, "is_cpu", property(lambda _: False), raising=False)
        out: Batch = synthesis(one, seeds)
    return out


@pytest.mark.parametrize("seeds", [None, [*range(12)]])
@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("after_jpeg", [0.0, 1.0])
def test_a_gpu_blends_as_a_cpu_does(seeds: list[int] | None, compat: bool, after_jpeg: float) -> None:
    options: dict[str, Any] = {"after_jpeg": after_jpeg, "compat": compat, "distort": 0.8}
    on_cpu, on_gpu = (blended(face(12), is_gpu, seeds, **options) for is_gpu in (False, True))
    torch.testing.assert_close(on_gpu.mask, on_cpu.mask, atol=1e-3, rtol=0)
    assert on_cpu.boundary is not None
    assert on_gpu.boundary is not None
    assert int((on_cpu.boundary.int() - on_gpu.boundary.int()).abs().max()) <= 2
    levels = 255 * (on_cpu.frames - on_gpu.frames).abs()
    if after_jpeg:  # a coefficient on the edge between two steps changes a block
        assert float(levels.mean()) < 1
    else:
        assert float(levels.max()) < 2.5
        assert float(levels.mean()) < 0.3


@pytest.mark.parametrize("b", [4, 40])
@pytest.mark.parametrize("is_training", [True, False])
def test_self_blending_takes_as_many_operations_for_every_batch_and_no_wait(b: int, is_training: bool) -> None:
    synthesis = SelfBlend(size=192).train(is_training)
    one = face(b).to("meta")
    for _ in range(2):  # constants are made once
        torch.manual_seed(0)
        with Operations() as seen:
            out = synthesis(replace(one), None if is_training else [*range(b)])
    assert out.boundary is not None
    assert out.boundary.is_meta
    assert seen.total <= OPERATIONS


@pytest.mark.parametrize(("subsampling", "quality"), [("4:2:0", 40), ("4:2:0", 90), ("4:4:4", 70)])
def test_blocks_lose_what_a_jpeg_file_loses(subsampling: Subsampling, quality: int) -> None:
    pixels = (255 * face(6, 125).frames[:, 0]).round()
    file = torch.stack([code_jpeg(one.to(torch.uint8), quality, subsampling) for one in pixels]).double()
    ours = compress(pixels, tables(torch.full((6,), quality), pixels.device), subsampling)
    assert float((ours - file).abs().mean()) < 0.5
    assert float((ours - file).square().mean()) < 0.08 * float((pixels - file).square().mean())


def test_a_step_of_laa_net_with_two_passes_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # does not know the meta device
    model = LAANet(trunk="test_efficientnet", padding_side=None, size=192, rho=0.05).train()
    one = face(2).to("meta")
    made = SelfBlend(size=192)(one)
    model.to("meta")
    optimizer = torch.optim.Adam(model.parameters(), fused=False)
    encoded = []
    for is_second in (False, True):
        home = perturb(model.parameters(), model.rho) if is_second else None
        model.is_second_pass = is_second
        optimizer.zero_grad()
        torch.stack(list(model.losses(model.predict(made), made).values())).sum().backward()
        encoded.append(model.targets)
        if home is not None:
            restore(home)
    optimizer.step()
    assert encoded[0] is encoded[1]


def test_augmentation_on_a_gpu_is_that_of_a_cpu_and_waits_for_nothing() -> None:
    start = face(20, 64)
    start.mask = (start.frames[:, :, :1] > 0.5).float()
    made = []
    for is_gpu in (False, True):
        one = start.map(torch.clone)
        torch.manual_seed(2)
        with pytest.MonkeyPatch.context() as patch:
            if is_gpu:
                patch.setattr(torch.Tensor, "is_cpu", property(lambda _: False), raising=False)
            made.append(Augment(jpeg=0.0)(one))
    torch.testing.assert_close(made[0].frames, made[1].frames, atol=1e-4, rtol=0)
    torch.testing.assert_close(made[0].landmarks, made[1].landmarks)
    assert torch.equal(made[0].mask, made[1].mask)
    assert Augment(jpeg=1.0)(start.to("meta")).frames.is_meta


def test_noise_is_drawn_for_those_that_want_it() -> None:
    torch.manual_seed(0)
    drawn = Augment(noise=0.3).draws(40, 2, 8, 8)
    assert 0 < int((drawn.level > 0).sum()) < 30
    assert len(drawn.noise) == 2 * int((drawn.level > 0).sum())


@pytest.mark.parametrize("strategy", [FSDPStrategy(), ModelParallelStrategy()])
def test_a_strategy_that_keeps_parts_of_the_parameters_is_refused_where_a_batch_is_passed_twice(
    strategy: Strategy,
) -> None:
    model = LAANet(trunk="test_efficientnet", padding_side=None, size=192, rho=0.05)
    model.trainer = SimpleNamespace(strategy=strategy, accumulate_grad_batches=1)  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"Strategy: must be ddp where each batch is passed twice"):
        model.on_fit_start()
    check_strategy(DDPStrategy())
