"""Forensics Adapter as a method: who sees what, what it is taught, and what is trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from lightning_modules import trained_method
from lightning_modules.forada.network import ForensicsNetwork
from lightning_modules.forada.targets import inner_contrast, outer_contrast, patch_labels, patch_shares, xray
from tests.fixtures.learning import learn
from tests.fixtures.noise import clips
from tests.fixtures.tiny_forada import tiny
from tests.parity.recorded import uniform

FILE = json.loads((Path(__file__).parents[2] / "parity/anchors_losses.json").read_text())
SEED, RECORDED = FILE["seeds"][2], FILE["forada"]


@pytest.fixture
def batch() -> Batch:
    """Four stills, the last two forged in their lower half."""
    found = clips(4, 1)
    mask = torch.zeros_like(found.mask)
    mask[2:, :, :, 40:] = 1
    return replace(found, label=torch.tensor([0, 0, 1, 1]), mask=mask)


@pytest.fixture(scope="module")
def ellipse() -> Tensor:
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    inside = ((x - RECORDED["mask_centre_x"]) / 60) ** 2 + ((y - 130) / 80) ** 2 < 1
    return inside[None, None].double()


def test_the_boundary_of_an_ellipse_is_that_recorded_of_the_authors(ellipse: Tensor) -> None:
    found = xray(ellipse)
    assert float(found.sum()) == pytest.approx(RECORDED["xray_sum"], rel=1e-12)
    assert float(found.max()) == RECORDED["xray_max"]


def test_labels_of_patches_are_those_recorded_of_the_authors(ellipse: Tensor) -> None:
    for side, name in ((256, "patch_labels"), (224, "clip_patch_labels")):
        forged, shown = patch_labels(patch_shares(ellipse, side, 16), compat=True)
        assert "".join(str(int(x)) for x in forged.flatten()) == RECORDED[name]
        if side == 256:
            assert "".join(str(int(x)) for x in shown.flatten()) == RECORDED["if_boundary"]


def test_labels_of_patches_as_meant_leave_the_inside_off_the_boundary(ellipse: Tensor) -> None:
    forged, shown = patch_labels(patch_shares(ellipse, 256, 16), compat=False)
    assert (int(forged.sum()), int(shown.sum())) == (70, 26)
    assert not bool((shown & ~forged).any())


def test_contrasts_are_those_recorded_of_the_authors() -> None:
    patches = uniform(SEED, (3, 16, 8))
    forged = uniform(SEED + 1, (3, 16)) > 0
    forged[0] = False
    found = inner_contrast(patches, forged, torch.tensor([False, True, True]))
    assert float(found) == pytest.approx(RECORDED["adapter_contrast_3_images_labels_0_1_1"], rel=1e-9)
    two, label = patches[:2].relu(), torch.tensor([0, 1])
    both = inner_contrast(two, forged[:2], label == 1) + outer_contrast(two, label, torch.Generator())
    assert float(both) == pytest.approx(RECORDED["clip_contrast_first_2_images_labels_0_1"], rel=1e-9)


def test_a_batch_of_one_class_has_no_contrast_between_images() -> None:
    patches = uniform(SEED, (3, 16, 8))
    assert float(outer_contrast(patches, torch.zeros(3), torch.Generator())) == 0
    assert float(inner_contrast(patches, torch.zeros(3, 16) > 0, torch.zeros(3) > 0)) == 0


def test_class_token_and_patches_see_no_query_and_a_query_itself_and_the_patches() -> None:
    network = tiny().network
    bias = torch.rand(1, 2, 16, 16)
    mask = network.attention_mask(bias)
    assert mask.shape == (1, 2, 33, 33)
    assert (mask[..., 16:, :16] == -100).all()
    assert (mask[..., 16:, 16:] == 0).all()
    assert (mask[..., :16, 16] == -100).all()
    assert torch.equal(mask[..., :16, 17:], bias)
    assert torch.equal(mask[0, 0, :16, :16] == 0, torch.eye(16) == 1)


def test_the_score_depends_on_where_queries_look_and_not_on_the_true_mask(batch: Batch) -> None:
    model = tiny().eval()
    before = model.predict(batch).logit
    assert torch.equal(model.predict(replace(batch, mask=1 - batch.mask)).logit, before)
    with torch.no_grad():
        model.network.decoder.bias_scaling.weight.mul_(50)
    assert not torch.allclose(model.predict(batch).logit, before, atol=1e-5)


def test_one_image_scores_as_it_does_in_a_batch(batch: Batch) -> None:
    model = tiny().eval()
    together = model.predict(batch)
    alone = model.predict(batch.rows(torch.tensor([2])))
    torch.testing.assert_close(alone.logit, together.logit[2:3], rtol=1e-4, atol=1e-5)
    assert together.mask_logit is not None
    assert together.mask_logit.shape == batch.mask.shape


def test_a_step_trains_the_adapter_and_leaves_clip_alone(batch: Batch) -> None:
    model = tiny().train()
    losses = model.losses(model.predict(batch), batch)
    assert losses.keys() == {"label", "xray", "adapter", "clip"}
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert without == {f"network.clip.{name}" for name, _ in model.network.clip.named_parameters()} | {"network.proj"}
    assert not [p for p in model.network.clip.parameters() if p.requires_grad]


def test_a_forged_image_without_a_mask_teaches_no_boundary(batch: Batch) -> None:
    model = tiny().train()
    without = replace(batch, has_mask=torch.tensor([True, True, True, False]), mask=batch.mask.clone())
    other = replace(without, mask=torch.where(torch.arange(4)[:, None, None, None, None] == 3, 0.5, without.mask))
    model.eval()
    heads = [model.network(batch.frames[:, 0], model.boundary_patches(one)) for one in (without, other)]
    assert torch.equal(heads[0].xray, heads[1].xray)
    prediction = model.train().predict(without)
    first, second = (model.losses(prediction, one) for one in (without, other))
    assert torch.equal(first["xray"], second["xray"])
    assert torch.equal(first["adapter"], second["adapter"])
    assert not torch.equal(first["xray"], model.losses(prediction, batch)["xray"])


def test_grids_of_both_networks_must_agree() -> None:
    with pytest.raises(UserError, match=r"size 80: adapter 'test_vit' must have as many patches as clip has of 64"):
        tiny(size=80)
    with pytest.raises(UserError, match="adapter 'test_resnet': must be a vision transformer"):
        tiny(adapter="test_resnet")


def test_a_run_is_used_without_the_weights_that_it_started_from(tmp_path: Path) -> None:
    model = tiny()
    model.video_threshold.fill_(0.5)
    arguments = {"clip": "test_vit", "adapter": "test_vit", "size": 64, "clip_size": 64, "queries": 16}
    started = {"trunk_weights": "hub", "adapter_weights": "hub"}
    section = {
        "class_path": "lightning_modules.forada.method.ForensicsAdapter",
        "init_args": {**arguments, **started},
    }
    about: dict[str, Any] = {"contract": {}, "stored": None, "trained_on": []}
    again = trained_method.build(tmp_path, section, about, model.state_dict())
    assert again.model["init_args"] == arguments


def test_each_loss_falls_when_a_few_faces_are_learnt(batch: Batch) -> None:
    model = tiny().train()
    history = learn(model, batch, 30, 3e-4)
    assert all(history[-1][name] < history[0][name] for name in history[0]), (history[0], history[-1])
    assert history[-1]["label"] < 0.2 * history[0]["label"]


def test_queries_are_projected_by_the_projection_that_comes_with_the_weights_of_clip(tmp_path: Path) -> None:
    clip: Any = timm.create_model("test_vit", num_classes=24)
    torch.save(clip.state_dict(), tmp_path / "clip.pt")
    network = ForensicsNetwork("test_vit", tmp_path / "clip.pt", "test_vit", None, 64, 64, queries=16, embedding=24)
    assert torch.equal(network.proj.T, clip.head.weight)
    assert not network.proj.requires_grad
