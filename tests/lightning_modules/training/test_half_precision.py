"""Scores are in float32 where networks compute in bfloat16: faces that differ keep scores that differ."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_modules.classifier import Classifier
from lightning_modules.training.precision import CPUPrecision, InFloat32, is_slow_in_bfloat16
from lightning_modules.trunks.last_layer import Float32Linear, compute_in_float32
from lightning_modules.trunks.weights import create_trunk
from tests.fixtures.noise import batch
from tests.fixtures.second_proofs import mark_slow
from tests.fixtures.small_methods import METHODS

SLOW = {"Delocate", "convolution as head", "LAE", "RFFR"}  # processors without bfloat16 take long for their layers


@pytest.mark.parametrize("name", mark_slow(METHODS, SLOW))
def test_scores_in_bfloat16_are_as_distinct_as_those_in_float32(name: str) -> None:
    torch.manual_seed(0)
    model, clips = METHODS[name]().eval(), batch(2 if name == "ST-DDL" else 1)
    with torch.no_grad():
        exact = model.outcome(clips)
        with torch.autocast("cpu", torch.bfloat16):
            half = model.outcome(clips)
    assert half.prediction.logit.dtype == torch.float32
    assert half.prediction.mask_logit is None or half.prediction.mask_logit.dtype == torch.float32
    assert len(half.score.unique()) >= 0.9 * len(exact.score.unique())


def test_both_heads_of_a_distilled_network_are_in_float32() -> None:
    with torch.device("meta"):
        net = Classifier("deit_tiny_distilled_patch16_224").net
    assert type(net.head) is type(net.head_dist) is Float32Linear


def test_the_last_layer_is_the_same_layer_in_another_precision() -> None:
    torch.manual_seed(0)
    for layer, x in ((nn.Linear(5, 3), torch.randn(4, 5)), (nn.Conv2d(2, 3, 3, 1, 1), torch.randn(4, 2, 6, 6))):
        names, expected = layer.state_dict().keys(), layer(x)
        wide = compute_in_float32(layer)
        assert wide is layer
        assert wide.state_dict().keys() == names
        assert torch.equal(wide(x), expected)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(wide(x), expected)
        assert wide.double()(x.double()).dtype == torch.float64
        assert wide.bfloat16()(x.bfloat16()).dtype == torch.float32  # weights of bfloat16 too give scores of float32


def test_depthwise_convolutions_that_are_slow_in_bfloat16_compute_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_modules.training.precision.computes_in_bfloat16", lambda: True)
    plain = create_trunk("backbone", "tf_efficientnet_lite0", None).eval()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        wanted = plain(x)
    kinds: dict[str, set[torch.dtype]] = {"slow": set(), "fast": set()}

    def note(layer: nn.Conv2d, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        kinds["slow" if is_slow_in_bfloat16(layer) else "fast"].add(output.dtype)

    precision = CPUPrecision()
    net = precision.convert_module(precision.convert_module(plain))  # a second time changes nothing
    assert net.state_dict().keys() == before.keys()
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert all(isinstance(layer, InFloat32) == is_slow_in_bfloat16(layer) for layer in layers)
    assert {layer.kernel_size for layer in layers if isinstance(layer, InFloat32)} == {(3, 3), (5, 5)}
    for layer in layers:
        layer.register_forward_hook(note)
    with torch.inference_mode():
        assert torch.allclose(net(x), wanted, atol=1e-5)  # as before where there is no autocast
        assert kinds == {"slow": {torch.float32}, "fast": {torch.float32}}
        with precision.forward_context():
            kinds["fast"].clear()
            net(x)
    assert torch.bfloat16 in kinds["fast"]
