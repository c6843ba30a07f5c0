"""Validation with augmented faces: always the same ones, a forgery as its real face, whatever the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer

from callbacks.familiarity import KnowTraining
from datamodules.augment.augment import Augment
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.classifier import Classifier
from tests.fixtures.recorder import KeptFaces

NOISY = Augment(flip=0.0, affine=0.0, colour=0.0, blur=0.0, noise=1.0, rescale=0.0, jpeg=0.0)


def data_of(prepared: Path, share: float, **options: Any) -> FaceData:
    given: dict[str, Any] = {"batch_size": 8, "num_workers": 0, "eval_clips": 4, "augment": NOISY} | options
    return FaceData(prepared=prepared, val_augmented=share, **given)


def validate(data: FaceData) -> dict[str, torch.Tensor]:
    kept = KeptFaces()
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[kept])
    trainer.validate(Classifier("test_efficientnet"), data, verbose=False)
    return kept.frames


def changed(seen: dict[str, torch.Tensor], plain: dict[str, torch.Tensor]) -> set[str]:
    assert seen.keys() == plain.keys()
    return {name for name in plain if not torch.equal(seen[name], plain[name])}


def test_validation_augments_the_same_share_of_its_faces_in_any_batch_and_a_forgery_as_its_real_face(
    prepared: Path,
) -> None:
    plain = validate(data_of(prepared, 0.0, synthesis=SelfBlend()))
    some = validate(data_of(prepared, 0.5, synthesis=SelfBlend()))
    other = validate(data_of(prepared, 0.5, synthesis=SelfBlend(), batch_size=3))
    assert all(torch.equal(some[name], other[name]) for name in some)
    noisy = changed(some, plain)
    assert {name.removesuffix("#blended") for name in noisy} == {
        name for name in noisy if not name.endswith("#blended")
    }
    assert 0.2 < len(noisy) / len(plain) < 0.8
    name = next(one for one in noisy if not one.endswith("#blended"))
    forged = f"{name}#blended"
    torch.testing.assert_close(some[name] - plain[name], some[forged] - plain[forged], atol=0.02, rtol=0)


def test_all_of_validation_is_augmented_where_all_is_asked_for_without_a_synthesis_too(prepared: Path) -> None:
    plain = validate(data_of(prepared, 0.0))
    assert changed(validate(data_of(prepared, 1.0)), plain) == {*plain}


def test_what_a_training_looks_like_is_kept_the_same_whatever_share_validation_augments(prepared: Path) -> None:
    kept = []
    for share in (0.0, 1.0):
        data = data_of(prepared, share, synthesis=SelfBlend())
        watcher = KnowTraining(faces=4)
        quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
        Trainer(**quiet, callbacks=[watcher]).validate(Classifier("test_efficientnet"), data, verbose=False)
        kept.append([batch.frames for batch in watcher.batches["val"]])
    assert all(torch.equal(one, other) for one, other in zip(*kept, strict=True))


@pytest.mark.parametrize(("share", "augment", "message"), [
    (1.5, NOISY, "val_augmented 1.5: must be from 0 to 1"),
    (-0.1, NOISY, "val_augmented -0.1: must be from 0 to 1"),
    (0.5, None, "val_augmented 0.5: needs augment"),
])  # fmt: skip
def test_a_share_that_cannot_be_augmented_is_refused(
    prepared: Path, share: float, augment: Augment | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        data_of(prepared, share, augment=augment)
