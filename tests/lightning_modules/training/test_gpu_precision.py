"""What training on a GPU changes about arithmetic, held without one."""

from __future__ import annotations

import pytest
import torch
from jsonargparse import ArgumentParser
from pytorch_lightning import Trainer
from torch import nn

from lightning_modules.training.precision import GPUPrecision, fuse, may_overflow
from tests.conftest import ROOT


def test_the_config_of_a_gpu_names_what_there_is() -> None:
    parser = ArgumentParser()
    parser.add_class_arguments(Trainer, "trainer")
    parser.add_argument("--data", type=dict)
    text = (ROOT / "configs/hardware/gpu.yaml").read_text().replace("accelerator: gpu", "accelerator: cpu")
    found = parser.instantiate_classes(parser.parse_string(text))
    assert isinstance(found.trainer.precision_plugin, GPUPrecision)


def test_filters_lie_with_their_channels_together_and_the_precision_of_matrices_comes_back() -> None:
    before = torch.get_float32_matmul_precision()
    plugin = GPUPrecision()
    net = nn.Conv2d(8, 8, 3)
    plugin.convert_module(net)
    assert net.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.get_float32_matmul_precision() == "high"
    assert not may_overflow(plugin)
    plugin.teardown()
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_an_optimizer_is_fused_on_a_gpu_alone(kind: type[torch.optim.Optimizer]) -> None:
    optimizer = kind([nn.Parameter(torch.ones(2))], lr=0.1)  # type: ignore[call-arg]
    fuse([optimizer])
    assert not optimizer.param_groups[0]["fused"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "is_cuda", property(lambda _: True), raising=False)
        fuse([optimizer])
    assert optimizer.param_groups[0]["fused"]
    (p,) = optimizer.param_groups[0]["params"]
    p.grad = torch.ones(2)
    optimizer.step()  # the state is made as that of a fused one
    assert p.tolist() == pytest.approx([0.9, 0.9], abs=2e-3)
