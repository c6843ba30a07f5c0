"""FakeSTormer as a method: what a clip is scored from, what it is taught, what is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Trainer
from torch import nn

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.synthesis.clip_self_blend import ClipSelfBlend
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.fakestormer.convert import convert_released
from lightning_modules.fakestormer.method import FakeSTormer
from lightning_modules.fakestormer.network import StormNetwork, hide
from lightning_modules.fakestormer.targets import draw_kept, encode, standardize, to_cells
from lightning_modules.released import ReleasedWeights
from tests.fixtures.learning import learn
from tests.fixtures.noise import clips
from tests.fixtures.released_files import empty
from tests.fixtures.tiny_fakestormer import tiny


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Three real clips of four frames and a self-blended copy of each."""
    synthesis = ClipSelfBlend(distort=0.0).train()
    return synthesis(clips(3, 4), [1, 2, 3])


def test_a_clip_scores_the_same_in_any_batch(batch: Batch) -> None:
    for compat in (False, True):
        model = tiny(compat=compat).eval()
        with torch.no_grad():
            together, alone = model.predict(batch).logit, model.predict(batch.rows(torch.tensor([4]))).logit
        torch.testing.assert_close(alone, together[4:5], rtol=1e-4, atol=1e-5)


def test_the_token_of_a_clip_is_learned_but_in_released_code(batch: Batch) -> None:
    for compat in (False, True):
        model = tiny(compat=compat).eval()
        before = model.predict(batch).logit
        with torch.no_grad():
            model.network.backbone.temp_token.add_(1)
        assert torch.equal(model.predict(batch).logit, before) is compat
        assert model.network.backbone.temp_token.requires_grad is not compat


def test_the_heat_map_lies_where_and_when_its_patches_are() -> None:
    network = tiny().network
    t, p = 4, 16
    patches = torch.arange(p * t, dtype=torch.float32).view(1, p, t, 1)  # patch-major, frames fastest
    plain = network.volume(patches)[0, 0]
    assert plain[2, 1, 3] == patches[0, 4 * 1 + 3, 2, 0]
    network.compat = True
    mixed = network.volume(patches)[0, 0]
    assert mixed.flatten().tolist() == list(range(p * t))  # of frame 0 the first quarter of the patches, all frames
    assert mixed[0, 0, 1] == patches[0, 0, 1, 0]


def test_frames_see_each_other_once_time_is_learnt(batch: Batch) -> None:
    model = tiny().eval()
    other = batch.frames.clone()
    other[:, 3] = 1 - other[:, 3]

    def patches_of(frames: torch.Tensor) -> torch.Tensor:
        return model.network.backbone((frames - 0.5) / 0.5, False)[1][:, :, 0]  # of the first frame

    # what the class token gathers over frames reaches patches in any case, from the second block on
    first = model.network.backbone.blocks[:1]
    model.network.backbone.blocks = first
    torch.testing.assert_close(patches_of(batch.frames), patches_of(other))
    with torch.no_grad():
        nn.init.normal_(first.get_parameter("0.temporal_fc.weight"))
    assert not torch.allclose(patches_of(batch.frames), patches_of(other), atol=1e-3)


def test_changes_are_standardized_by_those_of_the_forged_clip() -> None:
    cells = torch.rand(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    found = standardize(cells)
    change = (cells[:, 1:] - cells[:, :-1]).abs()
    for i in range(2):
        mean, std = change[i].mean(), change[i].std(correction=0)
        torch.testing.assert_close(found[2 + i, 1:], (change[i] - mean) / std)
        torch.testing.assert_close(found[2 + i, 0], torch.full((3, 3), float(-mean / std)))
        torch.testing.assert_close(found[i], torch.full((4, 3, 3), float(-mean / std)))
    assert standardize(cells[:, :1].expand(-1, 4, -1, -1)).abs().max() == 0


def test_what_is_hidden_is_the_most_vulnerable_and_the_same_in_the_real_clip() -> None:
    boundary = torch.zeros(2, 4, 1, 4, 4, dtype=torch.uint8)
    boundary[1, :, 0, 1, 2], boundary[1, 0, 0, 2, 2], boundary[1, :, 0, 0, 0] = 250, 200, 40
    targets = encode(boundary, 4, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(targets.kept[0], targets.kept[1])
    assert not targets.kept[1, 1, 2]
    assert 2 <= int((~targets.kept[1]).sum()) <= 4  # and one of the quieter ones
    assert targets.temporal[0].tolist() == [0.0] * 4
    left = boundary[1, :, 0].float() / 255 * targets.kept[1]
    torch.testing.assert_close(targets.temporal[1], left.amax((1, 2)))
    frames = hide(torch.ones(1, 4, 3, 16, 16), targets.kept[1:])
    assert frames[0, :, :, 4:8, 8:12].abs().max() == 0
    torch.testing.assert_close(frames.mean(), targets.kept[1].float().mean())
    whole = encode(boundary, 4, 0.0, torch.Generator())
    assert whole.kept.all()
    assert whole.temporal.tolist() == [[0.0] * 4, [1.0] * 4]


def test_half_of_the_clips_have_something_hidden() -> None:
    cells = torch.rand(200, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    kept, is_hidden = draw_kept(cells, 0.5, torch.Generator().manual_seed(2))
    assert 70 < int(is_hidden.sum()) < 130
    assert torch.equal(~kept.flatten(1).all(1), is_hidden)


def test_losses_are_those_of_the_three_heads(batch: Batch) -> None:
    model = tiny(hidden=1.0).train()
    prediction = model.predict(batch)
    losses, targets, heads = model.losses(prediction, batch), model.targets, prediction.heads  # type: ignore[attr-defined]
    assert targets is not None
    kept = targets.kept[:, None].expand_as(targets.heat)
    expected = 50 * ((heads.heat - targets.heat)[kept] ** 2).sum() / kept.numel()
    torch.testing.assert_close(losses["heat"], expected)
    label = F.binary_cross_entropy_with_logits(prediction.logit / 2, batch.label.float())
    torch.testing.assert_close(losses["label"], 0.8 * label)
    frames = F.binary_cross_entropy_with_logits(heads.temporal, targets.temporal)
    torch.testing.assert_close(losses["temporal"], 0.2 * frames)
    torch.stack(list(losses.values())).sum().backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_cells_of_a_boundary_have_the_levels_of_bytes() -> None:
    boundary = torch.tensor([[255, 0], [0, 0]], dtype=torch.uint8).view(1, 1, 1, 2, 2)
    assert to_cells(boundary, 1).item() == pytest.approx(64 / 255)
    assert to_cells(boundary, 2).flatten().tolist() == [1.0, 0.0, 0.0, 0.0]


def test_clips_of_another_length_are_refused(batch: Batch) -> None:
    with pytest.raises(UserError, match=r"needs clips of 4 frames, not 3; set 'frame_source: videos' and 'clip: 4'"):
        tiny().eval()(batch.frames[:, :3])


def test_a_training_without_blended_clips_is_refused(prepared: Path, studio: Path, tmp_path: Path) -> None:
    data = FaceData(
        prepared=prepared,
        root=studio,
        frame_source="videos",
        clip=4,
        image_size=64,
        batch_size=4,
        num_workers=0,
        synthesis=SelfBlend(),
    )
    trainer = Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path, fast_dev_run=1)
    with pytest.raises(UserError, match="learns from the soft edge of blended clips alone"):
        trainer.fit(tiny(), data)


def test_a_checkpoint_brings_how_it_was_trained(batch: Batch) -> None:
    released, other = tiny(compat=True).eval(), tiny(compat=False).eval()
    other.load_state_dict(released.state_dict())
    assert other.network.compat
    assert torch.equal(other.predict(batch).logit, released.predict(batch).logit)


def test_the_converter_takes_all_keys_and_refuses_others(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in empty("fakestormer").items()}
    found = convert_released(state, tmp_path)
    with torch.device("meta"):
        expected = StormNetwork().state_dict()
    assert {name: x.shape for name, x in found.state.items()} == {name: x.shape for name, x in expected.items()}
    with pytest.raises(UserError, match=r"keypoint_head\.more: no key of FakeSTormer"):
        convert_released(state | {"keypoint_head.more": torch.zeros(1)}, tmp_path)
    del state["module.keypoint_head.cls.fc_out.bias"]
    with pytest.raises(UserError, match=r"label\.bias: missing"):
        convert_released(state, tmp_path)


def test_converted_weights_are_of_released_code_and_need_no_checkpoint(batch: Batch, tmp_path: Path) -> None:
    trained = tiny(compat=True).eval()
    protocol = convert_released(empty("fakestormer"), tmp_path).protocol
    network = {"backbone": "test_vit", "size": 64, "frames": 4}
    rest = ReleasedWeights(state={}, network=network, protocol=protocol).rest
    torch.save({"state_dict": trained.network.state_dict(), **rest}, tmp_path / "w.ours.pt")
    model = tiny(weights=tmp_path / "w.ours.pt").eval()
    assert model.is_trained
    assert torch.equal(model.predict(batch).logit, trained.predict(batch).logit)
    with pytest.raises(UserError, match="frames 3: must be 4 for weights"):
        tiny(weights=tmp_path / "w.ours.pt", frames=3)


def test_hidden_patches_are_those_of_the_same_step_in_both_passes(batch: Batch) -> None:
    model = tiny(hidden=1.0).train()
    model.predict(batch)
    first = model.targets
    model.is_second_pass = True
    model.predict(replace(batch))
    assert model.targets is first


@pytest.fixture(scope="module")
def learnt(batch: Batch) -> tuple[FakeSTormer, list[dict[str, float]]]:
    """The method after 80 steps on the clips, and its losses: twice what the slowest of four rounding errors needs."""
    model = tiny(hidden=0.0).train()
    return model, learn(model, batch, 80, 2e-3)


def test_each_loss_falls_when_a_few_clips_are_learnt(learnt: tuple[FakeSTormer, list[dict[str, float]]]) -> None:
    _, history = learnt
    assert all(history[-1][name] < 0.2 * history[0][name] for name in history[0]), (history[0], history[-1])


def test_its_map_lies_where_the_edge_of_a_learnt_blend_changes(
    batch: Batch, learnt: tuple[FakeSTormer, list[dict[str, float]]]
) -> None:
    model, _ = learnt
    assert model.targets is not None
    change = model.targets.heat[3:, 1:]  # of the forged clips
    found = model.eval().outcome(batch)
    assert found.prediction.mask_logit is not None
    assert found.prediction.mask_logit.shape == (6, 4, 1, 64, 64)
    cells = F.interpolate(found.prediction.mask_logit[:, :, 0], change.shape[-2:], mode="area")
    assert torch.equal(found.prediction.mask_logit[:, 0], found.prediction.mask_logit[:, 1])  # none is before the first
    moving = change > 1
    assert cells[3:, 1:][moving].mean() > cells[3:, 1:][~moving].mean() + 0.5
    assert found.forged is not None
    assert found.forged[3:].sum() > 0  # pixels of boundaries
    assert found.forged[:3].sum() == 0
