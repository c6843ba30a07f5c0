"""Meta-learning: who is held back, and what a step is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning import LightningDataModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from lightning_modules.delocate import meta_learning
from lightning_modules.delocate.method import Delocate
from tests.fixtures.tiny_delocate import tiny


@pytest.fixture(scope="module")
def batch(prepared: Path) -> Batch:
    data = FaceData(prepared=prepared, batch_size=16, clips_per_face=2, num_workers=0)
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


names = st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=2, unique=True).map(" ".join)
rows = st.lists(st.tuples(st.sampled_from(["real", "Swap", "Jitter", "Edit"]), names), min_size=1, max_size=24)


@given(rows, st.sampled_from(["people", "methods"]), st.integers(0, 1000))
def test_nobody_is_on_both_sides_of_an_episode(table: list[tuple[str, str]], split: Any, seed: int) -> None:
    methods, people = [m for m, _ in table], [p for _, p in table]
    found, again = (meta_learning.halves(methods, people, split, torch.Generator().manual_seed(seed)) for _ in range(2))
    if found is None or again is None:
        assert found is again is None
        return
    learnt, tested = (side.tolist() for side in found)
    assert (learnt, tested) == tuple(side.tolist() for side in again)
    for side in (learnt, tested):
        assert {methods[i] == "real" for i in side} == {True, False}
    sides = [{name for i in side for name in people[i].split()} for side in (learnt, tested)]
    assert not sides[0] & sides[1]
    forgeries = [{methods[i] for i in side} - {"real"} for side in (learnt, tested)]
    if split == "methods":
        assert len(forgeries[1]) == 1
        assert not forgeries[0] & forgeries[1]


def test_about_a_third_of_the_people_are_held_back() -> None:
    people = [str(i // 2) for i in range(200)]
    found = meta_learning.halves(["real", "Swap"] * 100, people, "people", torch.Generator().manual_seed(0))
    assert found is not None
    assert [len(side) for side in found] == [140, 60]
    assert meta_learning.halves(["real", "Swap"] * 100, people, "methods", torch.Generator()) is None  # one forgery
    assert meta_learning.halves(["real", "Swap"] * 2, [""] * 4, "people", torch.Generator()) is None  # nobody known


class Line(nn.Module):
    """One weight, whose loss on a half of the data is its own parabola."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))


def test_a_step_of_meta_learning_is_the_one_of_the_definition() -> None:
    line, step, weight = Line(), 0.1, 0.5
    (line.w - 1).square().backward()  # gradient 2 (w - 1) = 2
    home = meta_learning.descend([line.w], step)
    assert line.w.item() == pytest.approx(2 - 0.1 * 2)
    line.w.grad = None
    (3 * (line.w + 1).square()).backward()  # gradient 6 (w + 1) at 1.8
    meta_learning.restore(home, weight)
    assert line.w.item() == 2.0
    assert line.w.grad is not None
    assert line.w.grad.item() == pytest.approx(2 + 0.5 * 6 * 2.8)


class OneBatch(LightningDataModule):
    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.batch = batch

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader([self.batch], batch_size=None)  # type: ignore[arg-type]


def one_step(model: Delocate, batch: Batch, folder: Path) -> tuple[list[list[str]], dict[str, Tensor]]:
    """The people of each pass of a step, and the gradient that is taken."""
    torch.save({f"generator.{k}": v for k, v in model.generator.state_dict().items()}, folder / "first.pt")
    model.generator_weights = folder / "first.pt"
    passes: list[list[str]] = []
    gradients: dict[str, Tensor] = {}
    losses = model.losses

    def noted(prediction: Any, batch: Batch) -> Any:
        passes.append(batch.people)
        return losses(prediction, batch)

    def before(_: Any) -> None:
        gradients.update({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})

    model.losses, model.on_before_optimizer_step = noted, before  # type: ignore[method-assign, assignment]
    trainer = Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(model, datamodule=OneBatch(batch))
    return passes, gradients


def gradient(model: Delocate, batch: Batch) -> dict[str, Tensor]:
    model.zero_grad()
    torch.stack(list(model.losses(model.predict(batch), batch).values())).sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_a_step_passes_what_is_learnt_then_what_was_held_back_and_adds_their_gradients(
    batch: Batch, tmp_path: Path
) -> None:
    batch = replace(batch, people=[str(i) for i in range(16)])
    settings: dict[str, Any] = {"split": "people", "meta_step": 0.05, "meta_weight": 0.5}
    passes, taken = one_step(tiny(**settings), batch, tmp_path)
    assert len(passes) == 2
    rows = [torch.tensor([int(name) for name in people]) for people in passes]
    assert not {*passes[0]} & {*passes[1]}
    assert len(passes[1]) == 5
    model = tiny(**settings).train()
    learnt = gradient(model, batch.rows(rows[0]))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name in learnt:
                p.sub_(0.05 * learnt[name])
    held = gradient(model, batch.rows(rows[1]))
    for name, value in taken.items():
        torch.testing.assert_close(value, learnt[name] + 0.5 * held[name], rtol=2e-3, atol=1e-5)


def test_a_batch_that_cannot_be_split_is_one_ordinary_step(batch: Batch, tmp_path: Path) -> None:
    nobody = replace(batch, people=[""] * 16)
    passes, taken = one_step(tiny(split="people", meta_weight=0.5), nobody, tmp_path)
    assert len(passes[0]) == len(passes[1]) == 16
    for name, value in gradient(tiny().train(), batch).items():
        torch.testing.assert_close(taken[name], value, rtol=2e-3, atol=1e-5)


def test_a_step_that_is_only_tried_leaves_no_figures_behind() -> None:
    norm = nn.BatchNorm2d(2)
    with meta_learning.still_statistics(norm):
        norm(torch.randn(4, 2, 3, 3) + 5)
    assert torch.equal(norm.running_mean, torch.zeros(2))  # type: ignore[arg-type]
    norm(torch.randn(4, 2, 3, 3) + 5)
    assert norm.running_mean.abs().sum() > 0  # type: ignore[union-attr]
