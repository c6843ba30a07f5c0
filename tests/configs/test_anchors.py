"""Configs that name somebody's weights and settings resolve to these, which only a name decides."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from datamodules.runtime.errors import UserError
from lightning_modules.classifier import Classifier
from lightning_modules.rffr.method import RFFR
from lightning_modules.rffr.network import RFFRNetwork
from lightning_modules.trunks.weights import TrunkWeights
from tests.conftest import ROOT
from tests.fixtures.configs import read_config

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
NAMES = ("backbone", "trunk", "branch", "encoder", "clip")


def settings(config: str) -> dict[str, Any]:
    found: dict[str, Any] = read_config(ROOT / f"configs/{config}.yaml")["model"]["init_args"]
    return found


def network(config: Path) -> str | None:
    """Name of the pretrained network, of those that have one."""
    given = (read_config(config).get("model") or {}).get("init_args", {})
    if given.get("trunk_weights") != "hub":
        return None
    if config.stem == "rffr":
        given = {"branch": inspect.signature(RFFR).parameters["branch"].default} | given
    return next(given[name] for name in NAMES if name in given)


@pytest.mark.parametrize("config", [file for file in CONFIGS if network(file)], ids=lambda file: file.stem)
def test_a_config_says_which_of_the_pretrained_weights_of_a_network(config: Path) -> None:
    assert network(config) in timm.list_pretrained(network(config) or "")


@pytest.mark.parametrize(
    ("config", "weights", "mean"),
    [
        # AutoAugment, not noisy student, which saw 300 million images more
        ("classifier_efficientnet", "tf_efficientnet_b4_aa-818f208c", 0.485),
        ("classifier_xception", "v0.1-cadene/xception-43020ad28", 0.5),
        ("classifier_sbi", "tf_efficientnet_b4_ap-dedb23e6", 0.5),  # AdvProp
        ("laa_net", "tf_efficientnet_b4_ap-dedb23e6", 0.5),
        ("rffr", "v0.1-vitjx/jx_vit_base_p16_224-80ecf9dd", 0.5),
        ("classifier_clip", None, 0.48145466),
        ("classifier_gend_clip", None, 0.48145466),
        ("classifier_gend_pe", None, 0.5),
        ("classifier_gend_dinov3", None, 0.485),
        ("forada", None, 0.48145466),
    ],
)
def test_an_anchor_starts_from_the_weights_it_is_known_for(config: str, weights: str | None, mean: float) -> None:
    name = network(ROOT / f"configs/{config}.yaml")
    assert name is not None
    found = timm.models.get_pretrained_cfg(name)
    assert found is not None
    assert weights is None or weights in str(found.url)
    assert found.mean[0] == mean


def test_the_branch_of_the_network_alone_is_that_of_the_method() -> None:
    assert (
        inspect.signature(RFFRNetwork).parameters["branch"].default
        == inspect.signature(RFFR).parameters["branch"].default
    )


def test_clip_is_built_with_the_activation_it_was_trained_with() -> None:
    name = settings("classifier_clip")["backbone"]
    with torch.device("meta"):
        net: Any = timm.create_model(name, num_classes=1)
        other: Any = timm.create_model("vit_large_patch14_clip_224.openai", num_classes=1)
    of_openai = timm.models.get_pretrained_cfg(name)
    assert of_openai is not None
    assert of_openai.hf_hub_id == "timm/vit_large_patch14_clip_224.openai"
    assert type(net.blocks[0].mlp.act).__name__.lower() == "quickgelu"
    assert type(other.blocks[0].mlp.act).__name__ == "GELU"
    assert net.state_dict().keys() == other.state_dict().keys()  # which is why the wrong one loads without complaint


@pytest.mark.parametrize(
    "name",
    ["vit_large_patch14_clip_224.openai", "vit_base_patch16_clip_224.metaclip_400m", "vit_huge_patch14_clip_378"],
)
def test_a_clip_of_another_activation_than_its_weights_is_refused(name: str) -> None:
    with pytest.raises(
        UserError, match=r"trained with QuickGELU, which this network lacks; use vit_\w+_quickgelu_\d+\."
    ):
        Classifier(name, trunk_weights="hub")


def test_a_clip_without_weights_or_with_weights_of_its_own_activation_is_not_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **k: create(name, **k))  # nothing is fetched
    with torch.device("meta"):
        fetched: list[tuple[str, TrunkWeights]] = [("openai", None), ("laion2b", "hub"), ("openai_ft_in1k", "hub")]
        for name, weights in fetched:
            Classifier(f"vit_base_patch32_clip_224.{name}", trunk_weights=weights)
        Classifier("vit_base_patch32_clip_quickgelu_224.openai", trunk_weights="hub")


def seen(**given: Any) -> torch.Tensor:
    """What the network gets of an image that is 0.25 everywhere: (3,)."""
    model = Classifier("test_efficientnet", **given).eval()
    shown: list[torch.Tensor] = []
    model.net.conv_stem.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    model(torch.full((1, 1, 3, 32, 32), 0.25))
    return shown[0][0, :, 0, 0]


def test_self_blended_images_are_not_normalized_and_others_as_their_weights_were() -> None:
    given = {name: settings("classifier_sbi")[name] for name in ("mean", "std")}
    assert seen(**given).tolist() == [0.25, 0.25, 0.25]
    assert seen()[0] == pytest.approx((0.25 - 0.485) / 0.229)  # as this network's own were
    assert seen(mean=[0.25, 0.15, 0.05], std=[1.0, 0.5, 0.1]).tolist() == pytest.approx([0.0, 0.2, 2.0])


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"mean": [0.5]}, r"mean \[0\.5\]: must be three numbers$"),
        ({"std": [1.0, 0.0, 1.0]}, r"std \[1\.0, 0\.0, 1\.0\]: must be three numbers, above 0"),
    ],
)
def test_statistics_that_cannot_be_are_refused(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        Classifier("test_efficientnet", **given)


def test_no_sweep_takes_the_plain_start_for_an_anchor() -> None:
    assert settings("classifier").get("trunk_weights") is None
    sweeps = list((ROOT / "benchmarks").rglob("*.yaml"))
    assert sweeps
    assert not [file for file in sweeps if "configs/classifier.yaml" in file.read_text()]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("classifier_probe", {"tune": "none"}),
        ("classifier_gend_clip", {"tune": "norms", "unit_features": True, "uniformity": 0.5, "alignment": 0.1}),
        ("classifier_gend_pe", {"tune": "norms", "unit_features": True, "uniformity": 0.5, "img_size": 224}),
        ("classifier_gend_dinov3", {"pooling": "token", "alignment": 0.5, "uniformity": 0.5, "img_size": 224}),
        ("classifier_effort", {"tune": "directions"}),
        ("classifier_fs_vfm", {"pooling": "avg"}),
        ("classifier_blend", {"tune": "norms"}),
    ],
)
def test_a_recipe_on_a_foundation_model_tunes_and_reads_what_its_paper_does(
    config: str, expected: dict[str, Any]
) -> None:
    found = settings(config)
    assert {name: found.get(name) for name in expected} == expected
    assert {"unit_features", "alignment", "uniformity"} & found.keys() == (
        {"unit_features", "alignment", "uniformity"} if "gend" in config else set()
    )
