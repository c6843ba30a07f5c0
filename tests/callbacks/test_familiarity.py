"""What a checkpoint and an exported folder know of the faces of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from callbacks.ema import EMA
from callbacks.familiarity import KEY, KnowTraining
from datamodules.augment.augment import Augment
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.spread import spread_batches
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.classifier import Classifier
from lightning_modules.familiarity import Familiarity, fit_familiarity
from lightning_modules.hub_folder import save
from lightning_modules.trained_method import FAMILIARITY, load


def test_faces_are_spread_over_people_and_half_of_them_are_real(prepared: Path) -> None:
    data = FaceData(prepared=prepared, batch_size=8, num_workers=0)
    batches = spread_batches(data, "train", 20, 2**30)
    labels = torch.cat([batch.label for batch in batches])
    assert labels.tolist() == [0] * 10 + [1] * 10
    videos = [video for batch in batches for video in batch.video]
    reals, fakes = set(videos[:10]), set(videos[10:])
    clips = data.clips("train").faces(1)
    assert len(reals) == min(10, int((clips.label == 0).sum()))
    assert len(fakes) == min(10, int((clips.label == 1).sum()))
    again = spread_batches(data, "train", 20, 2**30)
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(batches, again, strict=True))
    assert sum(map(len, spread_batches(data, "train", 20, 6 * 3 * data.image_size**2))) == 6


def fit(data: FaceData, folder: Path, epochs: int = 1) -> Classifier:
    torch.manual_seed(0)
    model = Classifier("test_efficientnet", optimizer=lambda p: torch.optim.AdamW(p, lr=0.03))
    plain = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        **plain,  # type: ignore[arg-type]
        max_epochs=epochs,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[EMA(0.9), KnowTraining(48), ModelCheckpoint(folder, "one")],  # while it goes on learning
        default_root_dir=folder,
    )
    trainer.fit(model, data)
    return model


@pytest.fixture(scope="module")
def averaged(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("averaged")
    fit(FaceData(prepared=prepared, batch_size=8, num_workers=0, clips_per_face=2, eval_clips=4), folder)
    return folder / "one.ckpt"


def test_a_checkpoint_knows_the_training_by_its_own_weights_though_they_are_averages(
    averaged: Path, prepared: Path
) -> None:
    content = torch.load(averaged, weights_only=True)
    known = Familiarity.from_state(content[KEY])
    method = Classifier("test_efficientnet")
    method.load_state_dict(content["state_dict"])
    data = FaceData(prepared=prepared, batch_size=8, num_workers=0)

    def features(split: str) -> tuple[Tensor, Tensor]:
        batches = spread_batches(data, split, 48, 2**30)
        found = [KnowTraining.features(method.eval(), method.early_layers(), batch) for batch in batches]
        return torch.cat(found).detach(), torch.cat([batch.label for batch in batches])

    (train, label), (validation, _) = features("train"), features("val")
    again = fit_familiarity(train, label, validation)
    assert again is not None
    torch.testing.assert_close(known.distances(validation), again.distances(validation), rtol=1e-2, atol=1e-3)
    assert (known.distances(validation) <= known.limit).float().mean() > 0.95
    current = {name: value for name, value in content["current_model_state"].items() if name in method.state_dict()}
    method.load_state_dict(current)  # those that go on learning
    other = fit_familiarity(*features("train"), features("val")[0])
    assert other is not None
    assert not torch.allclose(other.mean, known.mean, rtol=1e-2, atol=1e-3)


def test_every_second_face_is_as_augmented_and_a_synthesis_forges_them(prepared: Path) -> None:
    data = FaceData(prepared=prepared, batch_size=8, num_workers=0, augment=Augment(flip=1.0))
    callback = KnowTraining(16)
    raw = torch.cat([batch.frames for batch in spread_batches(data, "train", 16, 2**30)])
    shown = torch.cat([batch.frames for batch in callback.create_batches(data, "train", torch.device("cpu"))])
    assert torch.equal(shown[::2], raw[::2])
    assert all((shown[i] != raw[i]).any() for i in range(1, 16, 2))
    again = torch.cat([batch.frames for batch in callback.create_batches(data, "train", torch.device("cpu"))])
    assert torch.equal(shown, again)


def test_forgeries_of_a_synthesis_are_known_too(prepared: Path, tmp_path: Path) -> None:
    data = FaceData(
        prepared=prepared, batch_size=4, num_workers=0, clips_per_face=1, eval_clips=2, synthesis=SelfBlend(size=64)
    )
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "callbacks.familiarity.fit_familiarity",
            lambda features, label, validation: seen.extend(label.tolist()),
        )
        fit(data, tmp_path)
    assert 0 < sum(seen) == len(seen) / 2


def test_a_trial_of_one_batch_looks_at_one_batch_of_faces(prepared: Path, tmp_path: Path) -> None:
    for is_trial, faces in ((True, 4), (False, 24)):
        data = FaceData(prepared=prepared, batch_size=4, num_workers=0, clips_per_face=1, eval_clips=2)
        callback = KnowTraining(24)
        plain: dict[str, Any] = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
        plain |= {"accelerator": "cpu", "limit_train_batches": 1, "default_root_dir": tmp_path}
        trainer = Trainer(**plain, fast_dev_run=is_trial, max_epochs=1, callbacks=[callback])
        trainer.fit(Classifier("test_efficientnet"), data)
        assert {split: sum(map(len, batches)) for split, batches in callback.batches.items()} == dict.fromkeys(
            ("train", "val"), faces
        )


def test_two_processes_write_what_is_known_into_both_checkpoints(two_processes: Path) -> None:
    for name in ("best", "last"):
        found = load(two_processes / f"checkpoints/{name}.ckpt").method.familiarity
        assert found is not None
        assert 0 < found.limit < 10
        assert len(found.mean) == 112  # of the network's channels at a quarter and an eighth of the size


def test_a_training_of_familiar_faces_without_any_is_refused() -> None:
    with pytest.raises(UserError, match="faces -1: must be at least 0"):
        KnowTraining(-1)


# what a folder for the hub has


def test_a_folder_for_the_hub_knows_the_same_and_a_damaged_file_is_refused(two_processes: Path, tmp_path: Path) -> None:
    before = load(two_processes)
    save(before, tmp_path / "hub")
    after = load(tmp_path / "hub")
    assert before.method.familiarity is not None
    assert after.method.familiarity is not None
    for name, value in before.method.familiarity.state().items():
        assert torch.equal(after.method.familiarity.state()[name], value)
    assert after.digest == before.digest
    file = tmp_path / "hub" / FAMILIARITY
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"familiarity\.safetensors: is damaged"):
        load(tmp_path / "hub")


# what is said of a face
