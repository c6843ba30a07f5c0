"""What 'convert' makes of the files of others: all that is of the method, or a refusal by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from pytorch_lightning import Trainer
from torch import Tensor

from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import Framing
from lightning_modules.classifier import Classifier
from lightning_modules.effort import convert as effort
from lightning_modules.forada import convert as forada
from lightning_modules.forada.network import ForensicsNetwork
from lightning_modules.fs_vfm import convert as fs_vfm
from lightning_modules.gend import convert as gend
from lightning_modules.released import Protocol, ReleasedWeights, read_released
from lightning_modules.sbi import convert as sbi
from lightning_modules.trunks import clip_names
from suite.convert import convert, find_convertible
from tests.fixtures.released_files import empty, keys_of

NOWHERE = Path("nowhere/w.pt")


def plain(released: ReleasedWeights, **options: Any) -> set[str]:
    """Names and shapes must be those of timm's network."""
    with torch.device("meta"):
        net = timm.create_model(str(released.network["backbone"]), num_classes=1, **options)
    expected = net.state_dict()
    shapes = {name: value.shape for name, value in released.state.items()}
    assert shapes == {name: value.shape for name, value in expected.items()}
    return set(shapes)


def test_methods_with_released_weights_are_found() -> None:
    assert {"gend", "effort", "forada", "sbi", "fs_vfm", "laa_net", "mae"} <= set(find_convertible())


@pytest.mark.parametrize(
    ("name", "backbone", "options"),
    [
        ("gend_clip", "vit_large_patch14_clip_quickgelu_224", {}),
        ("gend_pe", "vit_pe_core_large_patch14_336", {"img_size": 224}),
        ("gend_dino", "vit_large_patch16_dinov3_qkvb", {"global_pool": "token"}),
    ],
)
def test_gend_is_known_by_its_tensors(name: str, backbone: str, options: dict[str, Any]) -> None:
    state = {f"module.{key}": value for key, value in empty(name).items()}
    state["val_step_outputs.labels"] = torch.zeros(3)
    found = gend.convert_released(state, NOWHERE)
    assert found.network["backbone"] == backbone
    assert found.network["unit_features"] is True
    plain(found, **options)
    with pytest.raises(UserError, match=r"feature_extractor\.more: no key of GenD"):
        gend.convert_released(empty(name) | {"feature_extractor.more": torch.zeros(1)}, NOWHERE)
    without = empty(name)
    del without["model.linear.bias"]
    with pytest.raises(UserError, match=r"head\.bias: missing"):
        gend.convert_released(without, NOWHERE)


def test_the_head_of_gend_is_that_of_its_config(tmp_path: Path) -> None:
    state = empty("gend_clip")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "GenD", "head": "linear"}))
    assert gend.convert_released(state, tmp_path / "model.safetensors").network["unit_features"] is False
    (tmp_path / "config.json").write_text(json.dumps({"head": "mlp"}))
    with pytest.raises(UserError, match=r"config\.json: head 'mlp': must be LinearNorm or linear"):
        gend.convert_released(state, tmp_path / "model.safetensors")


def test_queries_keys_and_values_are_stacked_in_this_order() -> None:
    state = {f"a.{kind}_proj.weight": torch.full((2, 2), float(i)) for i, kind in enumerate("vqk")}
    assert clip_names.stack_projections(state)["a.qkv.weight"][:, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 0.0, 0.0]
    del state["a.k_proj.weight"]
    with pytest.raises(UserError, match=r"a\.k_proj\.weight: missing"):
        clip_names.stack_projections(state)


def test_a_head_of_two_classes_has_the_probability_of_their_soft_max() -> None:
    rows, x = torch.randn(2, 5), torch.randn(3, 5)
    state = {"head.weight": rows, "head.bias": torch.tensor([0.5, -1.0])}
    for forged in (0, 1):
        one = clip_names.one_logit(state, forged)
        expected = (x @ rows.T + state["head.bias"]).softmax(1)[:, forged]
        torch.testing.assert_close((x @ one["head.weight"].T + one["head.bias"]).sigmoid()[:, 0], expected)
    with pytest.raises(UserError, match=r"head\.weight: has 3 classes, must have 2"):
        clip_names.one_logit({"head.weight": torch.zeros(3, 5)})


def test_effort_is_a_plain_clip_with_and_without_what_its_losses_read() -> None:
    whole = effort.convert_released(empty("effort"), NOWHERE)
    names = plain(whole)
    short = {name: value for name, value in empty("effort").items() if name[-4:] not in (".S_r", ".U_r", ".V_r")}
    assert len(short) == 969 - 288
    assert plain(effort.convert_released(short, NOWHERE)) == names
    del short["backbone.encoder.layers.3.self_attn.k_proj.U_residual"]
    with pytest.raises(UserError, match=r"layers\.3\.self_attn\.k_proj\.U_residual: missing"):
        effort.convert_released(short, NOWHERE)


def test_a_folded_projection_is_what_was_kept_and_the_direction_that_was_trained() -> None:
    main, u, s, v = torch.randn(4, 4), torch.randn(4, 1), torch.tensor([2.0]), torch.randn(1, 4)
    state = {f"p.{name}": x for name, x in zip(effort.PARTS, (main, u, s, v), strict=True)}
    found = effort.fold(state | {"p.bias": torch.ones(4)})
    assert found.keys() == {"p.weight", "p.bias"}
    torch.testing.assert_close(found["p.weight"], main + 2 * torch.outer(u[:, 0], v[0]))


def light(method: str) -> dict[str, Tensor]:
    """The authors' names and shapes of one number each, which can be compared."""
    return {name: torch.zeros(()).expand(shape) for name, shape in keys_of(method).items()}


def test_forensics_adapter_has_its_aliases_compared_and_dropped() -> None:
    state = light("forada")
    found = forada.convert_released(state, NOWHERE)
    with torch.device("meta"):
        expected = ForensicsNetwork().state_dict()
    assert {name: x.shape for name, x in found.state.items()} == {name: x.shape for name, x in expected.items()}
    for alias, target in (
        ("rec_attn_clip.proj", r"clip_model\.visual\.proj"),
        ("rec_attn_clip.vit.ln_pre.weight", r"clip_model\.visual\.ln_pre\.weight"),
        ("rec_attn_clip.resblocks.3.ln_1.bias", r"clip_model\.visual\.transformer\.resblocks\.3\.ln_1\.bias"),
    ):
        other = torch.ones(1).expand(state[alias].shape)
        with pytest.raises(UserError, match=rf"differs from {target}, whose alias it is"):
            forada.convert_released(state | {alias: other}, NOWHERE)
    with pytest.raises(UserError, match=r"adapter\.fusion\.weight: no key of Forensics Adapter"):
        forada.convert_released(state | {"adapter.fusion.weight": torch.zeros(1)}, NOWHERE)


def test_sbi_is_an_efficientnet_of_timm() -> None:
    found = sbi.convert_released(empty("sbi"), NOWHERE)
    plain(found)
    assert found.network["mean"] == [0.0] * 3
    with pytest.raises(UserError, match=r"net\._blocks\.32\._bn1\.bias: no key of SBI"):
        sbi.convert_released(empty("sbi") | {"net._blocks.32._bn1.bias": torch.zeros(1)}, NOWHERE)


@pytest.mark.parametrize("convert_one", [gend.convert_released, effort.convert_released, forada.convert_released])
def test_a_file_of_another_method_is_refused(convert_one: Callable[..., object]) -> None:
    with pytest.raises(UserError, match=r"no state dict of GenD|: no key of"):
        convert_one(empty("sbi"), NOWHERE)


def vfm(width: int, heads_of_classes: bool) -> dict[str, Tensor]:
    """A small one as its authors save it, fine-tuned or not."""
    name, heads = fs_vfm.SIZES[width]
    with torch.device("meta"):
        net: Any = timm.create_model(name, global_pool="avg", num_heads=heads, num_classes=2)
        state = dict(net.state_dict())
        if not heads_of_classes:
            state = {name: value for name, value in state.items() if not name.startswith(("fc_norm.", "head."))}
            state |= {"norm.weight": torch.empty(width), "mask_token": torch.empty(1), "decoder_x.y": torch.empty(1)}
            state |= {"rep_decoder_blocks.0.norm1.weight": torch.empty(1), "projector.0.bias": torch.empty(1)}
    return state


@pytest.mark.parametrize("width", [384, 768, 1024])
def test_a_fine_tuned_fs_vfm_is_read_with_its_classes_in_their_order(width: int) -> None:
    state = vfm(width, heads_of_classes=True)
    state["head.weight"] = torch.stack([torch.ones(width), torch.zeros(width)])  # fake, real
    state["head.bias"] = torch.tensor([0.25, 1.0])
    found = fs_vfm.convert_released(state, NOWHERE)
    plain(found, global_pool="avg", num_heads=found.network["num_heads"])
    assert found.state["head.weight"].tolist() == [[1.0] * width]
    assert found.state["head.bias"].tolist() == [-0.75]
    assert found.network["num_heads"] == (16 if width == 1024 else 12)
    assert found.network["mean"] == fs_vfm.MEAN


def test_of_a_pretrained_fs_vfm_the_encoder_alone_is_a_start(tmp_path: Path) -> None:
    state = vfm(384, heads_of_classes=False)
    found = fs_vfm.convert_released(state, NOWHERE)
    assert found.rest == {}
    assert not [name for name in found.state if name.startswith(("norm.", "mask", "decoder", "rep_", "proj", "head"))]
    with pytest.raises(UserError, match=r"blocks\.0\.more: no key of FS-VFM"):
        fs_vfm.convert_released(state | {"blocks.0.more": torch.empty(1)}, NOWHERE)
    del state["blocks.3.norm1.bias"]
    with pytest.raises(UserError, match=r"blocks\.3\.norm1\.bias: missing"):
        fs_vfm.convert_released(state, NOWHERE)
    with pytest.raises(UserError, match="cls_token: missing; must be 384, 768, 1024 wide"):
        fs_vfm.convert_released({}, NOWHERE)


def test_a_converted_encoder_is_what_a_training_starts_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {name: torch.rand(value.shape) for name, value in vfm(384, heads_of_classes=False).items()}
    torch.save({"model": state, "epoch": 3}, tmp_path / "checkpoint.pth")
    convert("fs_vfm", tmp_path / "checkpoint.pth")
    assert 'start from it: --model.trunk_weights FILE --model.mean "[0.5482' in capsys.readouterr().out
    given: dict[str, Any] = {"pooling": "avg", "num_heads": 12}
    net = Classifier("vit_small_patch16_224", trunk_weights=tmp_path / "checkpoint.pth.ours.pt", **given).net
    assert torch.equal(net.blocks[11].mlp.fc2.weight, state["blocks.11.mlp.fc2.weight"])
    assert net.blocks[0].attn.num_heads == 12
    assert net.fc_norm.weight.tolist() == [1.0] * 384


def test_the_statistics_of_pixels_beside_a_file_are_its_own(tmp_path: Path) -> None:
    assert fs_vfm.read_statistics(tmp_path / fs_vfm.STATISTICS) == (fs_vfm.MEAN, fs_vfm.STD)
    (tmp_path / fs_vfm.STATISTICS).write_text('{"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}\nmore\n')
    found = fs_vfm.convert_released(vfm(384, heads_of_classes=True), tmp_path / "w.pth")
    assert found.network["mean"] == [0.1, 0.2, 0.3]
    assert found.network["std"] == [0.4, 0.5, 0.6]
    (tmp_path / fs_vfm.STATISTICS).write_text("mean 0.5")
    with pytest.raises(UserError, match="its first line must be JSON with mean and std"):
        fs_vfm.read_statistics(tmp_path / fs_vfm.STATISTICS)


VIT: dict[str, Any] = {"backbone": "test_vit", "img_size": 64, "mean": [0.5] * 3, "std": [0.25] * 3}
PROTOCOL = Protocol(margin=1.3, aligned=False, size=64)


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A file as 'convert' writes it, of a small network."""
    torch.manual_seed(0)
    state = Classifier(**VIT).net.state_dict()
    network = {**VIT, "pooling": "token", "unit_features": False}
    rest = ReleasedWeights(state=state, network=network, protocol=PROTOCOL).rest
    torch.save({"state_dict": state, **rest}, tmp_path / "w.ours.pt")
    return tmp_path / "w.ours.pt"


def test_converted_weights_bring_their_protocol_and_need_no_checkpoint(released: Path) -> None:
    model = Classifier(**VIT, weights=released)
    assert model.is_trained
    assert model.protocol == PROTOCOL
    assert torch.equal(model.net.head.weight, read_released(released).state["head.weight"])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"mean": [0.4] * 3}, r"mean \[0\.4.*\]: must be \[0\.5, 0\.5, 0\.5\] for weights"),
        ({"unit_features": True}, "unit_features True: must be False for weights"),
        ({"pooling": "avg"}, "pooling 'avg': must be 'token' for weights"),
        ({"backbone": "test_vit2"}, "backbone 'test_vit2': must be 'test_vit' for weights"),
        ({"img_size": 128}, "img_size 128: must be 64 for weights"),
    ],
)
def test_a_network_that_would_load_them_and_be_another_is_refused(
    released: Path, change: dict[str, Any], rule: str
) -> None:
    with pytest.raises(UserError, match=rule):
        Classifier(**VIT | change, weights=released)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    torch.save({"head.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w\.pt: was not written by 'python -m suite convert' for this method"):
        Classifier(**VIT, weights=tmp_path / "w.pt")


def tested(released: Path, prepared: Path, tmp_path: Path, **given: Any) -> None:
    data = FaceData(prepared=prepared, image_size=64, eval_clips=1, num_workers=0)
    plain: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    Trainer(**plain, default_root_dir=tmp_path).test(Classifier(**VIT, weights=released, **given), data, verbose=False)


def test_faces_of_another_framing_than_the_authors_are_refused(released: Path, prepared: Path, tmp_path: Path) -> None:
    tested(released, prepared, tmp_path)
    with pytest.raises(UserError, match=r"margin 1\.3, of which framing \(0\.1, 0\.1\) leaves 1\.04: must be 1\.3 for"):
        tested(released, prepared, tmp_path, framing=Framing(cut=(0.1, 0.1)))
    content = torch.load(released, weights_only=True)
    content["protocol"]["aligned"] = True
    torch.save(content, released)
    with pytest.raises(UserError, match="alignment none: must be five_points or deepfakebench for released weights"):
        tested(released, prepared, tmp_path)


def test_the_file_that_convert_writes_is_the_one_that_a_classifier_takes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = {name: torch.rand(shape) for name, shape in keys_of("sbi").items()}
    state = {name: x.long() if name.endswith("num_batches_tracked") else x for name, x in state.items()}
    torch.save({"model": state, "epoch": 99, "optimizer": {}}, tmp_path / "FFraw.tar")
    convert("sbi", tmp_path / "FFraw.tar")
    given: dict[str, Any] = {"mean": [0.0] * 3, "std": [1.0] * 3}
    model = Classifier("tf_efficientnet_b4.ap_in1k", weights=tmp_path / "FFraw.tar.ours.pt", **given)
    assert torch.equal(model.net.conv_stem.weight, state["net._conv_stem.weight"])
    assert model.protocol is not None
    assert "maximum over faces" in model.protocol.faces
    with pytest.raises(UserError, match=r"mean \[0\.485.*\]: must be"):
        Classifier("tf_efficientnet_b4", weights=tmp_path / "FFraw.tar.ours.pt")
