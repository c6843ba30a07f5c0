"""Networks that are compiled learn what they would have learnt."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func

from lightning_modules.training.precision import CPUPrecision, GPUPrecision, compile_networks
from tests.fixtures.learning import learn
from tests.fixtures.noise import clips
from tests.fixtures.second_proofs import mark_slow
from tests.fixtures.small_methods import METHODS

LARGER = ("EfficientNet", "ViT", "localizer", "LAA-Net", "ST-DDL", "RFFR", "Delocate", "LAE", "Recover")


@pytest.mark.parametrize("name", mark_slow(["ResNet", *LARGER], LARGER))
def test_a_compiled_method_takes_the_steps_of_one_that_is_not(name: str) -> None:
    torch.manual_seed(0)
    torch._dynamo.reset()
    plain, batch = METHODS[name]().train(), clips(4, 2 if name == "ST-DDL" else 1)
    batch.label[::2], batch.mask[::2, ..., :32] = 1, 1.0
    compiled, graphs = deepcopy(plain), []

    def count(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        graphs.append(graph)
        return make_boxed_func(graph.forward)

    compile_networks(compiled, backend=aot_autograd(fw_compiler=count))
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    histories = []
    for model in (plain, compiled):
        torch.manual_seed(1)
        histories.append(learn(model, batch, 2, 1e-3))
    assert graphs
    for expected, found in zip(*histories, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", [CPUPrecision, GPUPrecision])
def test_a_precision_compiles_the_parts_that_have_weights_if_asked(kind: type[Any]) -> None:
    for compiled in (False, True):
        model, precision = METHODS["ResNet"](), kind(compiled=compiled)
        assert precision.convert_module(model) is model
        precision.teardown()
        assert (model.net._compiled_call_impl is not None) == compiled
        assert model.scores._compiled_call_impl is None
