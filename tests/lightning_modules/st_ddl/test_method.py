"""ST-DDL as a method: what it sees of a clip, what trains it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Trainer

from callbacks.clip_video import ClipVideo
from datamodules.augment.augment import Augment
from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.media.video import Decord, probe
from datamodules.runtime.errors import UserError
from datamodules.synthesis.base import seed_draws
from lightning_modules.st_ddl.method import STDDL
from lightning_modules.st_ddl.motion import MeshMotion, NoMotion
from tests.conftest import FEW_FACES, suite
from tests.fixtures.tiny_st_ddl import tiny


@pytest.fixture(scope="module")
def batch(studio: Path, prepared: Path) -> Batch:
    """Eight clips of four frames, half of them forged."""
    data = FaceData(
        prepared=prepared,
        root=studio,
        frame_source="videos",
        clip=4,
        image_size=64,
        batch_size=8,
        clips_per_face=2,
        num_workers=0,
    )
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


def test_the_last_frame_says_only_where_the_others_go(batch: Batch) -> None:
    model = tiny().eval()
    prediction = model.predict(batch)
    assert prediction.mask_logit is not None
    assert prediction.logit.shape == (8,)
    assert prediction.mask_logit.shape == (8, 3, 1, 64, 64)
    frames = batch.frames.clone()
    frames[:, -1] = 1 - frames[:, -1]
    assert torch.equal(model.predict(replace(batch, frames=frames)).logit, prediction.logit)
    landmarks = batch.landmarks.clone()
    landmarks[:, -1, 48:] += 3
    assert not torch.equal(model.predict(replace(batch, landmarks=landmarks)).logit, prediction.logit)


def test_without_motion_landmarks_say_nothing(batch: Batch) -> None:
    model = tiny(motion=NoMotion()).eval()
    moved = replace(batch, landmarks=batch.landmarks + torch.randn_like(batch.landmarks))
    assert torch.equal(model.predict(moved).logit, model.predict(batch).logit)


@pytest.mark.parametrize("compat", [False, True])
def test_a_clip_scores_the_same_in_any_batch_but_for_released_code(batch: Batch, compat: bool) -> None:
    model = tiny(compat=compat).eval()
    motion = model.motion(batch.frames, batch.landmarks)
    alone = model(batch.frames[:1], motion[:1]).logit
    together = model(batch.frames, motion).logit[:1]
    assert torch.allclose(alone, together, rtol=1e-4, atol=1e-5) is not compat


def test_weights_bring_with_them_how_they_were_trained(batch: Batch, tmp_path: Path) -> None:
    for compat in (False, True):
        trained = tiny(compat=compat).eval()
        torch.save(trained.network.state_dict(), tmp_path / "x.ours.pt")
        other = tiny(compat=not compat, weights=tmp_path / "x.ours.pt").eval()
        assert torch.equal(other.predict(batch).logit, trained.predict(batch).logit)


def test_a_clip_without_landmarks_is_refused_by_name(batch: Batch) -> None:
    blind = replace(batch, has_landmarks=torch.arange(8) != 2)
    with pytest.raises(UserError, match=rf"{batch.video[2]}: was prepared without landmarks"):
        tiny().predict(blind)
    assert tiny(motion=NoMotion()).predict(blind).logit.isfinite().all()


@pytest.mark.parametrize("trunk", ["resnet18", "hrnet_w18_small", "efficientnet_b0"])
def test_every_parameter_that_trains_has_a_gradient(trunk: str) -> None:
    network = STDDL(trunk, width=64).network
    heads = network(torch.rand(1, 1, 3, 64, 64), torch.rand(1, 1, 2, 64, 64))
    (heads.label.sum() + heads.mask.sum()).backward()
    assert not [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.parametrize("trunk", ["vit_tiny_patch16_224", "resnet26d_none"])
def test_a_trunk_that_cannot_serve_is_refused(trunk: str) -> None:
    with pytest.raises(UserError, match=r"must be a convolutional network|no such timm model"):
        STDDL(trunk, width=64)


def test_half_precision_keeps_scores_apart(batch: Batch) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        prediction = tiny().eval().predict(batch)
    assert prediction.logit.dtype == torch.float32


def test_stills_are_refused(batch: Batch) -> None:
    with pytest.raises(UserError, match="needs clips of two frames or more; set 'frame_source: videos' and 'clip'"):
        tiny().predict(replace(batch, frames=batch.frames[:, :1], landmarks=batch.landmarks[:, :1]))


def test_a_mirror_image_moves_the_other_way(batch: Batch) -> None:
    motion = MeshMotion(mesh_channel=True)
    before = motion(batch.frames, batch.landmarks)
    nothing: dict[str, float] = dict.fromkeys(("affine", "colour", "blur", "noise", "rescale", "jpeg"), 0.0)
    copy = batch.map(torch.Tensor.clone)
    with seed_draws(0):
        mirrored = Augment(flip=1.0, **nothing)(copy)  # type: ignore[arg-type]
    after = motion(mirrored.frames, mirrored.landmarks).flip(-1)
    both = (before[:, :, 2] == 1) & (after[:, :, 2] == 1)
    assert both.sum() > 0.98 * before[:, :, 2].sum()
    turned = before[:, :, :2] * torch.tensor([-1, 1])[:, None, None]
    assert float((after[:, :, :2] - turned).abs().amax(2)[both].quantile(0.98)) < 0.02


def test_losses_are_the_cross_entropies_of_two_classes(batch: Batch) -> None:
    model = tiny(mask_weight=0.5)
    motion = model.motion(batch.frames, batch.landmarks)
    model.eval()
    heads = model.network(2 * batch.frames[:, :-1] - 1, motion)
    half = replace(batch, has_mask=torch.arange(8) < 4)
    losses = model.losses(model(batch.frames, motion), half)
    assert float(losses["label"]) == pytest.approx(float(F.cross_entropy(heads.label, batch.label)), rel=1e-5)
    target = (batch.mask[:4, :-1, 0] > 0.5).long()
    expected = 0.5 * F.cross_entropy(heads.mask[:4].flatten(0, 1), target.flatten(0, 1))
    assert float(losses["mask"]) == pytest.approx(float(expected), rel=1e-4)


def test_each_loss_falls_when_a_few_clips_are_learnt(batch: Batch) -> None:
    model = tiny(dice_weight=1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(15):
        losses = model.losses(model.predict(batch), batch)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        history.append({name: float(loss.detach()) for name, loss in losses.items()})
    assert history[0].keys() == {"label", "mask", "dice"}
    assert all(history[-1][name] < history[0][name] for name in history[0])
    assert all(p.grad is not None for p in model.parameters())  # none would stop DDP


def test_a_test_writes_a_video_of_its_clips(studio: Path, prepared: Path, tmp_path: Path) -> None:
    data = FaceData(
        prepared=prepared, root=studio, frame_source="videos", clip=4, image_size=64, eval_clips=1, num_workers=0
    )
    plain: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    Trainer(**plain, default_root_dir=tmp_path, callbacks=[ClipVideo(clips_per_method=1)]).test(
        tiny(), data, verbose=False
    )
    images = Decord().read(tmp_path / "panels/test.mp4", range(3))
    kinds = len(set(data.videos("test")["method"].to_pylist()))
    assert len(probe(tmp_path / "panels/test.mp4")) == 3 * kinds  # three masks a clip
    assert images.shape[1:] == (146, 4 * 128, 3)  # frame, motion, predicted and true mask, with a line of text


@pytest.mark.slow  # those of RFFR and Delocate train in two processes, too
def test_two_processes_train_on_clips(studio: Path, prepared: Path, tmp_path: Path) -> None:
    files = [word for name in ("st_ddl", "studio/scratch/st_ddl") for word in ("--config", f"configs/{name}.yaml")]
    small = ["--data.root", str(studio), "--data.prepared", str(prepared), "--data.image_size", "64"]
    small += [
        "--model.trunk",
        "test_resnet",
        "--model.width",
        "64",
        "--data.num_workers",
        "0",
        "--data.clips_per_face",
        "1",
    ]
    small += ["--data.batch_size", "4", "--data.eval_clips", "2", "--trainer.max_epochs", "1"]
    small += ["--trainer.accelerator", "cpu", *FEW_FACES]
    done = suite("fit", *files, *small, "--run", str(tmp_path / "run"), ranks=2)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run/checkpoints/best.ckpt").exists()
    assert (tmp_path / "run/panels/val.mp4").exists()
