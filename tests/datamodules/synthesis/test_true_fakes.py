"""True forgeries join the batches whose other forgeries a synthesis makes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.loading.prepared_set import PreparedSet
from datamodules.runtime.errors import UserError
from datamodules.synthesis.base import Synthesis, seed_draws
from datamodules.synthesis.face_blend import FaceBlend
from datamodules.synthesis.framing import Framing
from datamodules.synthesis.self_blend import SelfBlend
from datamodules.synthesis.true_fakes import MixedSampler, mix
from lightning_modules.classifier import Classifier
from lightning_modules.laa_net.method import LAANet
from tests.fixtures.rows import faces


def mixed(prepared: Path, visitors: Path, synthesis: Synthesis, **changes: Any) -> FaceData:
    """The fakes are of the visitors alone."""
    sets = [PreparedSet(prepared=prepared, methods=[]), PreparedSet(prepared=visitors, methods=["Swap"])]
    options: dict[str, Any] = {
        "batch_size": 8,
        "num_workers": 0,
        "clips_per_face": 2,
        "eval_clips": 2,
        "true_fakes": 0.25,
    }
    return FaceData(sets=sets, synthesis=synthesis, **options | changes)


def kinds(batch: Batch) -> list[str]:
    return ["blended" if video.endswith("#blended") else video.split("/")[1] for video in batch.video]


@pytest.mark.parametrize("synthesis", [SelfBlend, FaceBlend])
def test_a_quarter_of_the_forged_faces_of_a_batch_are_true_ones(
    synthesis: type[Synthesis], prepared: Path, visitors: Path
) -> None:
    data = mixed(prepared, visitors, synthesis())
    loader = data.train_dataloader()
    homes: Counter[str] = Counter()
    for loaded in islice(loader, 4):
        assert loaded.label[:10].tolist() == [0] * 8 + [1] * 2
        assert not loaded.label[10:].any()  # sources
        with seed_draws(0):
            batch = mix(data.synthesis.train(), loaded.scale())  # type: ignore[union-attr]
        assert kinds(batch) == ["real"] * 6 + ["blended"] * 6 + ["real"] * 2 + ["Swap"] * 2
        assert batch.label.tolist() == [0] * 6 + [1] * 6 + [0] * 2 + [1] * 2
        assert batch.has_mask.all()
        assert len({*batch.video[:6], *batch.video[12:14]}) <= 8
        assert batch.video[:6] == [video.removesuffix("#blended") for video in batch.video[6:12]]
        assert {video.split("/")[0] for video in batch.video[12:]} == {"visitors"}  # the look of a set tells nothing
        masks = batch.mask.flatten(1).amax(1) > 0
        assert not masks[batch.label == 0].any()
        assert masks[14:].all()
        homes.update(
            video.split("/")[0] for video, label in zip(batch.video, batch.label.tolist(), strict=True) if not label
        )
    assert set(homes) == {"studio", "visitors"}
    assert data.training_methods() == ["studio/real", "visitors/Swap", "visitors/real"]


def test_a_true_forgery_is_shown_in_the_framing_of_the_blended_ones(prepared: Path, visitors: Path) -> None:
    synthesis = SelfBlend(size=32, flip=0.0, distort=0.0)
    synthesis.framing = Framing(cut=(0.25, 0.25))
    loaded = next(iter(mixed(prepared, visitors, synthesis).train_dataloader())).scale()
    shown = synthesis.eval().show(loaded.rows(torch.arange(8, 10)))
    assert shown.frames.shape == (2, 1, 3, 32, 32)
    assert shown.framed
    assert torch.allclose(shown.frames[:, 0], synthesis.framing.show(loaded.frames[8:10, 0], (32, 32)), atol=2 / 255)
    before = torch.get_rng_state()
    synthesis.show(loaded.rows(torch.arange(8, 10)))
    assert torch.equal(torch.get_rng_state(), before)  # validation draws nothing of training's stream


@pytest.mark.parametrize("synthesis", [SelfBlend, FaceBlend])
def test_validation_is_on_all_blended_reals_and_all_true_fakes(
    synthesis: type[Synthesis], prepared: Path, visitors: Path
) -> None:
    data = mixed(prepared, visitors, synthesis(), batch_size=5, true_fakes=0.4)
    seen: list[Batch] = []

    class Watching(Classifier):
        def evaluate(self, split: str, batch: Batch) -> Any:
            seen.append(batch)
            return super().evaluate(split, batch)

    quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    Trainer(**quiet).validate(Watching("test_efficientnet"), data, verbose=False)
    names = [video for batch in seen for video in batch.video]
    reals = [name for name in names if name.split("/")[1] == "real" and not name.endswith("#blended")]
    assert sorted(name.removesuffix("#blended") for name in names if name.endswith("#blended")) == sorted(reals)
    expected = {row["method"] for row in data.videos("val").to_pylist()}
    assert expected == {"real", "Swap"}
    assert Counter(name for name in names if "/Swap/" in name).keys() == {
        "/".join((row["dataset"], row["method"], row["compression"], row["stem"]))
        for row in data.videos("val").to_pylist()
        if row["label"]
    }


def test_true_fakes_differ_between_epochs_and_two_ranks_take_the_batches_of_one(prepared: Path, visitors: Path) -> None:
    def drawn(epoch: int, rank: int, world: int) -> list[list[tuple[int, tuple[int, ...]]]]:
        data = mixed(prepared, visitors, SelfBlend(), batch_size=8 // world)
        type(data).rank_and_world = property(lambda _: (rank, world))  # type: ignore[method-assign,assignment]
        sampler: Any = data.train_dataloader().sampler
        sampler.set_epoch(epoch)
        every = [(one.face, one.numbers) for one in sampler]
        size = 10 // world
        return [every[i : i + size] for i in range(0, len(every), size)]

    before = FaceData.rank_and_world
    try:
        one, other = drawn(0, 0, 1), drawn(1, 0, 1)
        ranks = [drawn(0, rank, 2) for rank in range(2)]
    finally:
        FaceData.rank_and_world = before  # type: ignore[method-assign]
    assert one == drawn(0, 0, 1)
    for part in (slice(0, 8), slice(8, 10)):  # reals and fakes
        assert [batch[part] for batch in one] != [batch[part] for batch in other]
    assert [sorted(a + b) for a, b in zip(*ranks, strict=True)] == [sorted(batch) for batch in one]


def test_true_fakes_without_a_synthesis_or_where_they_have_no_place_are_refused(prepared: Path, visitors: Path) -> None:
    with pytest.raises(
        UserError, match=r"true_fakes 0\.25 of batch_size 8: must be some of the forged faces but not all"
    ):
        FaceData(prepared=prepared, batch_size=8, true_fakes=0.25)
    with pytest.raises(UserError, match=r"true_fakes 1 of batch_size 8"):
        mixed(prepared, visitors, SelfBlend(), true_fakes=1.0)
    data = mixed(prepared, visitors, SelfBlend(size=64), image_size=64)
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, fast_dev_run=1
    )
    with pytest.raises(
        UserError, match="LAANet: learns from the soft edge of blended masks, which true forgeries lack"
    ):
        trainer.fit(LAANet(trunk="test_efficientnet", size=64), data)


def test_a_training_with_true_fakes_takes_a_step_and_validates(prepared: Path, visitors: Path) -> None:
    data = mixed(prepared, visitors, SelfBlend())
    model = Classifier("test_efficientnet")
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, fast_dev_run=1
    )
    trainer.fit(model, data)
    assert "val/video_auroc" in trainer.callback_metrics


def test_whole_faces_are_drawn_apart_from_those_that_are_forged() -> None:
    label = np.repeat([0, 1], [40, 160])
    many = replace(faces(40, 160), label=label.astype(np.int8))
    sampler = MixedSampler.create(many, 8, 12, 4, 0, 0, 1, [1.0])
    drawn = np.array([(one.face, one.numbers[0]) for one in sampler]).reshape(-1, 16, 2)
    blended, whole = drawn[:, :8].reshape(-1, 2).tolist(), drawn[:, 8:12].reshape(-1, 2).tolist()
    both = set(map(tuple, blended)) & set(map(tuple, whole))
    assert len(both) < 0.4 * len(whole)  # by chance a quarter
