"""The classifier on foundation models: which network it is, which parameters are trained, and what else trains it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from datamodules.runtime.errors import UserError
from lightning_modules import trained_method
from lightning_modules.classifier import Classifier
from lightning_modules.feature_losses import alignment, uniformity
from lightning_modules.trunks.low_rank import Directions, energy_change, fold, orthogonality
from lightning_modules.trunks.tuning import Tune
from lightning_modules.weights import digest
from tests.fixtures.noise import clips
from tests.parity.recorded import uniform

RECORDED = json.loads((Path(__file__).parents[1] / "parity/anchors_losses.json").read_text())
EVA = {"backbone": "vit_tiny_patch16_dinov3_qkvb", "img_size": 64, "pooling": "token"}
PE = {"backbone": "vit_pe_core_tiny_patch16_384", "img_size": 64}
VIT = {"backbone": "test_vit", "img_size": 64}


def built(**given: Any) -> Classifier:
    torch.manual_seed(0)
    return Classifier(**given)


def trained(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def spread(model: Classifier) -> Classifier:
    """With a head, and layer scales, that let every place count."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "gamma" in name:
                p.fill_(1.0)
    nn.init.normal_(model.net.head.weight)
    return model


@pytest.mark.parametrize("given", [EVA, PE, VIT], ids=lambda given: given["backbone"])
def test_a_transformer_sees_faces_at_the_size_that_is_asked_of_it(given: dict[str, Any]) -> None:
    model = spread(built(**given)).eval()
    frames = F.interpolate(torch.rand(2, 3, 8, 8), (128, 128), mode="bicubic").clamp(0, 1)[:, None]
    shrunk = F.interpolate(frames[:, 0], (64, 64), mode="bicubic", antialias=True).clamp(0, 1)[:, None]
    assert model.normalize(frames, model.framing).shape == (2, 3, 64, 64)
    torch.testing.assert_close(model(frames).logit, model(shrunk).logit)
    map_logit = model(frames).mask_logit
    assert map_logit is not None
    assert map_logit.shape == (2, 1, 1, 128, 128)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"backbone": "test_efficientnet", "img_size": 64}, "img_size 64: is that of a vision transformer"),
        ({"backbone": "test_vit", "img_size": 60}, "img_size 60: must be a multiple of 16"),
        ({"backbone": "test_vit", "num_heads": 5}, "num_heads 5: must divide 64"),
        ({"backbone": "test_vit", "pooling": "map"}, "pooling map: backbone 'test_vit' has no attention pooling"),
        ({"backbone": "test_resnet", "tune": "lora"}, "tune lora: changes the attention of a transformer"),
        ({"backbone": "test_vit", "tune": "lora", "rank": 0}, "rank 0: must be 1 or more"),
        ({"backbone": "test_vit", "tune": "directions", "rank": 64}, "rank 64: must be from 1 to 63"),
        ({"backbone": "test_vit", "energy": 1.0}, "tune all: must be directions with a weight of"),
        ({"backbone": "mobilenetv4_conv_small", "unit_features": True}, None),
    ],
)
def test_what_a_network_cannot_have_is_refused(given: dict[str, Any], rule: str | None) -> None:
    if rule is None:
        Classifier(**given)
        return
    with pytest.raises(UserError, match=rule):
        Classifier(**given)


def test_dinov3_is_read_at_its_class_token_where_that_is_asked_for() -> None:
    """timm takes the mean of all tokens, which loads the same weights without complaint."""
    plain, token = built(**EVA | {"pooling": None}), built(**EVA)
    assert (plain.net.global_pool, token.net.global_pool) == ("avg", "token")
    token.net.load_state_dict(plain.net.state_dict())
    images = torch.rand(2, 3, 64, 64)
    features = token.net.forward_features(images)
    torch.testing.assert_close(token.net.forward_head(features, pre_logits=True), features[:, 0])
    assert not torch.allclose(plain.net.forward_head(features, pre_logits=True), features[:, 0], atol=1e-3)


@pytest.mark.parametrize("given", [VIT, EVA, PE], ids=lambda given: given["backbone"])
@pytest.mark.parametrize("tune", ["norms", "none", "lora", "directions"])
def test_a_part_of_the_parameters_is_trained(given: dict[str, Any], tune: Tune) -> None:
    model = built(**given, tune=tune).train()
    before = {name: value.clone() for name, value in model.net.state_dict(prefix="net.").items()}
    names = {name for name in trained(model) if not name.startswith("net.head.")}
    assert trained(model) - names == {"net.head.weight", "net.head.bias"}
    kind = {"norms": "norm", "lora": "parametrizations.weight.0.", "directions": "parametrizations.weight.0."}
    assert all(kind[tune] in name for name in names) if names else tune == "none"
    if tune == "norms":
        of_norms = [m for m in model.net.modules() if isinstance(m, nn.LayerNorm)]
        assert len(names) == 2 * len(of_norms) > 10
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    images = torch.rand(4, 1, 3, 64, 64)
    for _ in range(2):  # LoRA's first factor has no gradient while the second is 0
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(images).logit, torch.tensor([0.0, 1, 0, 1])).backward()
        optimizer.step()
    after = model.net.state_dict(prefix="net.")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= trained(model)
    if names:
        assert len(changed & names) > 0.4 * len(names)


@pytest.mark.parametrize("given", [VIT, EVA], ids=lambda given: given["backbone"])
@pytest.mark.parametrize("tune", ["lora", "directions"])
def test_what_is_trained_of_an_attention_changes_the_score_and_folds_into_a_plain_network(
    given: dict[str, Any], tune: Tune
) -> None:
    """EVA computes with the weight of its projection, past whatever layer is around it."""
    model, plain = spread(built(**given, tune=tune)).eval(), built(**given).eval()
    frames = torch.rand(2, 1, 3, 64, 64)
    start = model(frames).logit
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad and "qkv" in name:
                p.add_(0.3 * torch.randn_like(p))
    moved = model(frames).logit
    assert (moved - start).abs().max() > 1e-3
    assert model.fold() == {"tune": "none", "orthogonality": 0.0, "energy": 0.0}
    torch.testing.assert_close(model(frames).logit, moved)
    plain.net.load_state_dict(model.net.state_dict())  # every name of a plain network, and no other
    torch.testing.assert_close(plain(frames).logit, moved)
    assert model.fold() == {}


def test_directions_start_at_the_weights_and_are_the_last_of_each_of_queries_keys_and_values() -> None:
    plain = built(**VIT)
    model = built(**VIT, tune="directions")
    frames = torch.rand(2, 1, 3, 64, 64)
    torch.testing.assert_close(model.eval()(frames).logit, plain.eval()(frames).logit, rtol=1e-4, atol=1e-5)
    layer = model.net.blocks[0].attn.qkv
    part = layer.parametrizations.weight[0]
    assert (part.u.shape, part.s.shape, part.v.shape) == ((3, 64, 1), (3, 1), (3, 1, 64))
    least = torch.linalg.svdvals(plain.net.blocks[0].attn.qkv.weight[64:128])[-1]  # of keys
    torch.testing.assert_close(part.s[1, 0], least, rtol=1e-3, atol=1e-5)
    per_matrix = 2 * 64 + 1
    counted = sum(p.numel() for n, p in model.net.named_parameters() if p.requires_grad and "head" not in n)
    assert counted == 4 * len(model.net.blocks) * per_matrix


def test_a_large_matrix_is_what_it_was_after_it_was_split_and_folded() -> None:
    weight = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    layer = nn.Linear(256, 256)
    layer.weight.data = weight.clone()
    part = Directions(layer.weight, 1, keeps_rest=False)
    layer.weight.data -= part.residual().detach()
    parametrize.register_parametrization(layer, "weight", part)
    assert fold(layer) == 1
    torch.testing.assert_close(layer.weight, nn.Parameter(weight), rtol=0, atol=1e-6)


def test_losses_of_directions_are_those_recorded_of_the_authors() -> None:
    e = RECORDED["seeds"][1]
    shapes = [(16, 16), (16, 15), (15, 16), (16, 1), (1, 16), (1,)]
    main, u, v, u_last, v_last, s_last = (uniform(e + i, shape) for i, shape in enumerate(shapes))
    found = orthogonality(torch.cat([u, u_last], 1)[None], torch.cat([v, v_last])[None])
    assert float(found) == pytest.approx(RECORDED["effort"]["orthogonal"], rel=1e-9)
    weight = main + (u_last * s_last) @ v_last
    change = energy_change(weight[None], uniform(e + 6, (16, 16)).square().sum()[None])
    assert float(change) == pytest.approx(RECORDED["effort"]["keep_singular_values"], rel=1e-9)


def test_losses_of_directions_are_small_at_the_start_and_reach_what_is_trained() -> None:
    model, batch = built(**VIT, tune="directions", orthogonality=1.0, energy=1.0).train(), clips(4, 1)
    losses = model.losses(model(batch.frames), batch)
    assert losses.keys() == {"label", "orthogonality", "energy"}
    assert losses["orthogonality"] + losses["energy"] < 1e-3
    with torch.no_grad():
        model.net.blocks[1].attn.proj.parametrizations.weight[0].u.mul_(3)
    again = model.losses(model(batch.frames), batch)
    assert again["orthogonality"] > 0.05
    again["orthogonality"].backward()
    assert model.net.blocks[1].attn.proj.parametrizations.weight[0].u.grad.abs().max() > 0


def test_alignment_and_uniformity_are_those_recorded_of_the_authors() -> None:
    features = F.normalize(uniform(RECORDED["seeds"][0], (12, 32)))
    label = torch.tensor([0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1])
    assert float(alignment(features, label)) == pytest.approx(RECORDED["gend"]["alignment"], rel=1e-9)
    assert float(uniformity(features)) == pytest.approx(RECORDED["gend"]["uniformity"], rel=1e-9)
    assert float(uniformity(3 * features)) == pytest.approx(RECORDED["gend"]["uniformity"], rel=1e-9)


def test_a_batch_without_pairs_has_no_alignment_and_a_single_image_no_uniformity() -> None:
    features = torch.eye(2, requires_grad=True)
    assert float(alignment(features, torch.tensor([0, 1])).detach()) == 0
    assert float(uniformity(features[:1]).detach()) == 0
    # of orthogonal vectors, squared distance 2
    assert float(uniformity(features).detach()) == pytest.approx(-4.0)
    assert float(uniformity(torch.stack([100 * torch.eye(2)[0], -torch.eye(2)[0]]))) == pytest.approx(-8.0)


def test_the_head_of_unit_features_sees_where_they_point_alone() -> None:
    model = built(**VIT, unit_features=True, alignment=0.5, uniformity=0.25).train()
    head = model.net.head
    x = torch.randn(3, 64)
    torch.testing.assert_close(head(7 * x), head(x))
    torch.testing.assert_close(head(x), F.linear(F.normalize(x), head.weight, head.bias))
    batch = clips(4, 2)
    prediction = model(batch.frames)
    assert prediction.features is not None
    assert prediction.features.shape == (8, 64)  # of each frame
    losses = model.losses(prediction, batch.rows(torch.arange(4)))
    assert losses.keys() == {"label", "alignment", "uniformity"}
    label = batch.label.repeat_interleave(2)
    torch.testing.assert_close(losses["alignment"], 0.5 * alignment(prediction.features, label))
    torch.testing.assert_close(losses["uniformity"], 0.25 * uniformity(prediction.features))
    torch.testing.assert_close(model.eval()(batch.frames).logit, prediction.logit, rtol=1e-4, atol=1e-5)


def test_a_run_with_directions_is_used_as_the_plain_network_it_folds_into(tmp_path: Path) -> None:
    model = built(**VIT, tune="directions")
    model.video_threshold.fill_(0.5)
    arguments: dict[str, Any] = {**VIT, "tune": "directions"}
    section = {"class_path": "lightning_modules.classifier.Classifier", "init_args": arguments}
    about: dict[str, Any] = {"contract": {}, "stored": None, "trained_on": []}
    again = trained_method.build(tmp_path, section, about, model.state_dict())
    assert again.model["init_args"]["tune"] == "none"
    assert again.tested_digest == digest(model.state_dict())  # a test of the run is one of this network
    frames = torch.rand(2, 1, 3, 64, 64)
    torch.testing.assert_close(again.method(frames).logit, model.eval()(frames).logit, rtol=1e-4, atol=1e-5)
    once_more = trained_method.build(tmp_path, again.model, about, again.method.state_dict())
    assert once_more.digest == again.digest == digest(again.method.state_dict())


def test_a_file_of_the_wrong_clip_is_refused_where_its_name_says_so(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="trained with QuickGELU, which this network lacks"):
        Classifier("vit_base_patch32_clip_224.openai", trunk_weights=tmp_path / "w.pt")


def test_an_encoder_without_the_norm_of_its_pooling_is_a_start(tmp_path: Path) -> None:
    donor: Any = timm.create_model("test_vit", global_pool="avg", num_classes=3)
    state = {k: torch.rand_like(v) for k, v in donor.state_dict().items() if not k.startswith(("fc_norm.", "head."))}
    torch.save(state, tmp_path / "w.pt")
    net = Classifier("test_vit", trunk_weights=tmp_path / "w.pt", pooling="avg").net
    assert torch.equal(net.blocks[1].attn.proj.weight, state["blocks.1.attn.proj.weight"])
    assert net.fc_norm.weight.tolist() == [1.0] * 64
    torch.save(state | {"norm.weight": torch.ones(64)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"'norm\.weight', which is none of its keys"):
        Classifier("test_vit", trunk_weights=tmp_path / "w.pt", pooling="avg")
