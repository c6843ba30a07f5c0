"""Maps of classifiers: what each place says for the score, of convolutional networks and of transformers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from datamodules.synthesis.framing import Framing
from lightning_modules.classifier import Classifier
from lightning_modules.trunks.class_activation import activate, find_map_fault
from tests.fixtures.noise import clips

NETWORKS = ["test_efficientnet", "test_resnet", "test_convnext", "dla34", "mobilenetv3_small_050", "test_vit"]
NETWORKS += ["test_vit2", "test_vit3"]  # whose tokens are pooled: their mean, or by attention


def network(name: str) -> Any:
    torch.manual_seed(0)
    net = Classifier(name).net
    for module in net.modules():  # timm draws heads so small that every place would say the same
        if isinstance(module, nn.Linear) and module.out_features == 1:
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return net.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_map_comes_with_the_same_score(name: str) -> None:
    net, images = network(name), clips().frames.flatten(0, 1)
    if name == "test_vit3":
        images = F.interpolate(images, (160, 160))  # of this size alone
    with torch.inference_mode():
        logit, cells = activate(net, images)
        torch.testing.assert_close(logit, net(images).flatten())
    assert cells is not None
    assert cells.shape[:2] == (8, 1)
    assert float(cells.std((1, 2, 3)).min()) > 1e-5


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "dla34", "test_vit"])
def test_the_mean_of_a_map_is_the_logit(name: str) -> None:
    net, images = network(name), clips().frames.flatten(0, 1)
    with torch.inference_mode():
        logit, cells = activate(net, images)
    assert cells is not None
    torch.testing.assert_close(cells.mean((1, 2, 3)), logit, rtol=1e-3, atol=1e-4)


def test_a_place_says_what_the_head_says_of_its_features() -> None:
    """By hand, the weights of a linear head times the features of each place."""
    net, images = network("test_resnet"), clips().frames.flatten(0, 1)
    with torch.no_grad():
        _, cells = activate(net, images)
        expected = torch.einsum("nchw,c->nhw", net.forward_features(images), net.fc.weight[0]) + net.fc.bias
    assert cells is not None
    torch.testing.assert_close(cells[:, 0], expected)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, nullcontext])
def test_a_transformer_has_the_same_map_in_every_mode(mode: Callable[[], Any]) -> None:
    net, images = network("test_vit"), clips().frames.flatten(0, 1)
    images = images.bfloat16().float()
    expected = activate(net, images)[1]
    with mode():
        found = activate(net, images)[1]
        with torch.autocast("cpu", torch.bfloat16):
            half = activate(net, images)[1]
    assert expected is not None
    assert found is not None
    assert half is not None
    torch.testing.assert_close(found, expected.detach())
    assert half.dtype == torch.float32
    assert torch.corrcoef(torch.stack([half.flatten(), expected.detach().flatten()]))[0, 1] > 0.9


def test_a_hook_of_the_last_layer_is_called_for_whole_faces_alone() -> None:
    for name in ("test_efficientnet", "test_vit"):
        net = network(name)
        calls: list[int] = []
        net.get_classifier().register_forward_hook(lambda _, __, out, calls=calls: calls.append(len(out)))
        with torch.inference_mode():
            activate(net, clips().frames.flatten(0, 1))
        assert calls == [8]


def test_training_pays_for_no_map() -> None:
    batch, model = clips(), Classifier("test_efficientnet").train()
    assert model.predict(batch).mask_logit is None
    assert model.eval().predict(batch).mask_logit is not None


def test_a_map_lies_where_the_network_looked() -> None:
    batch = clips()
    model = Classifier("test_efficientnet", framing=Framing(cut=(0.25, 0.25))).eval()
    with torch.inference_mode():
        mask = model.predict(batch).mask_logit
        whole = activate(model.net, model.normalize(batch.frames, model.framing))[1]
    assert mask is not None
    assert whole is not None
    assert mask.shape == batch.mask.shape
    torch.testing.assert_close(mask[..., 16, 16].flatten(), whole[:, 0, 0, 0])
    assert torch.equal(mask[..., :16, 0], mask[..., 16:17, 16].expand(-1, -1, -1, 16))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_what_changes_the_score_is_where_the_map_changes(name: str) -> None:
    net, images = network(name), F.interpolate(clips().frames.flatten(0, 1), (128, 128))
    changed = images.clone()
    changed[..., 64:, :64] = 0.5
    with torch.inference_mode():
        before, after = (activate(net, x)[1] for x in (images, changed))
    assert before is not None
    assert after is not None
    difference = (after - before).abs().mean((0, 1))
    side = len(difference) // 2
    inside = difference[side:, :side].mean()
    assert inside > 2 * (difference.sum() - inside * side**2) / (3 * side**2)


def test_the_first_patch_of_a_transformer_is_the_first_cell() -> None:
    net, images = network("test_vit"), clips().frames.flatten(0, 1)
    changed = images.clone()
    changed[..., :16, :16] = 0.5
    with torch.inference_mode():
        before, after = (activate(net, x)[1] for x in (images, changed))
    assert before is not None
    assert after is not None
    difference = (after - before).abs().mean(0).flatten()
    assert difference.argmax() == 0
    assert difference[0] > 2 * difference[1:].max()


@pytest.mark.parametrize("name", ["cait_xxs24_224", "crossvit_9_240", "sequencer2d_s"])
def test_a_network_that_is_made_otherwise_scores_without_a_map_and_says_so(name: str) -> None:
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match=f"backbone '{name}': has no map, whose class activation cannot be computed"):
        model = Classifier(name).eval()
    side = model.net.pretrained_cfg["input_size"][-1]
    frames = torch.rand(1, 2, 3, side, side)
    with torch.inference_mode():
        found = model(frames)
        expected = model.net(model.normalize(frames, model.framing)).mean()
    assert found.mask_logit is None
    torch.testing.assert_close(found.logit[0], expected)
    assert not model.exports_map


def test_a_logit_that_the_last_features_do_not_give_again_is_a_fault() -> None:
    net = network("test_byobnet")
    assert find_map_fault(net) == ""
    head = net.forward_head
    net.forward_head = lambda x, pre_logits=False: head(x, pre_logits) + (0 if pre_logits else 1)
    assert "from its last features" in find_map_fault(net)


def test_whether_a_network_has_a_map_is_found_without_a_draw_and_leaves_it_as_it_was() -> None:
    net = timm.create_model("test_byobnet", num_classes=1)
    before, draws = {name: value.clone() for name, value in net.state_dict().items()}, torch.get_rng_state()
    assert find_map_fault(net) == ""
    assert net.training
    assert torch.equal(torch.get_rng_state(), draws)
    for name, value in net.state_dict().items():  # statistics of batches, too
        assert torch.equal(value, before[name])
