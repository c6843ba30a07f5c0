"""Fast arithmetic, on a CPU and on a GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.precision import MixedPrecision, Precision
from torch import Tensor, nn
from torch.optim import Optimizer

Backend = str | Callable[..., Any]


def computes_in_bfloat16() -> bool:
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def compile_networks(method: nn.Module, backend: Backend = "inductor") -> None:
    """Compiles each part of a method that has weights; the parts, and the names of their weights, stay as they are.

    Args:
        method: Method that calls its parts; what it does beside them is not compiled.
        backend: Compiler, as torch.compile takes it.
    """
    for part in method.children():
        if any(True for _ in part.parameters()):
            part.compile(backend=backend)


class InFloat32:
    """Mixed into a convolution of which each channel has a filter of its own."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = super().forward(x.float())  # type: ignore[misc]
        return out.to(x.dtype)


def is_slow_in_bfloat16(layer: nn.Conv2d) -> bool:
    return layer.groups == layer.in_channels > 1 and (max(layer.kernel_size) > 3 or max(layer.stride) > 1)


@functools.cache
def make_float32(kind: Any) -> Any:
    """A subclass, also of one of timm's that pads as TensorFlow does."""
    return type(kind.__name__, (InFloat32, kind), {})


class CPUPrecision(Precision):
    """Channels last; bfloat16 where the processor computes in it: elsewhere it would be emulated, and slower.

    Depthwise convolutions that are larger than 3 x 3, or have a stride, stay in float32: their backward pass takes 2 to
    20 times as long in bfloat16.
    """

    def __init__(self, compiled: bool = False) -> None:
        """
        Args:
            compiled: Compile the networks.
        """
        self.bfloat16, self.compiled = computes_in_bfloat16(), compiled

    def convert_module(self, module: nn.Module) -> nn.Module:
        for layer in module.modules() if self.bfloat16 else ():
            if isinstance(layer, nn.Conv2d) and is_slow_in_bfloat16(layer) and not isinstance(layer, InFloat32):
                kind: Any = type(layer)
                layer.__class__ = make_float32(kind)  # same weights under the same names
        if self.compiled:
            compile_networks(module)
        return module.to(memory_format=torch.channels_last)

    def forward_context(self) -> AbstractContextManager[None]:
        return torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else nullcontext()


class GPUPrecision(MixedPrecision):
    """bfloat16 under autocast, channels last, steps of the optimizer in one operation, and TF32 for what is float32."""

    def __init__(
        self, channels_last: bool = True, fused: bool = True, tf32: bool = True, compiled: bool = False
    ) -> None:
        """
        Args:
            channels_last: Keep images and filters with their channels together.
            fused: Have the optimizer change all parameters at once, where it can.
            tf32: Let matrix products of float32 round to 10 bits of fraction; what must not be rounded is in double.
            compiled: Compile the networks, which takes minutes at the start of a training.
        """
        super().__init__("bf16-mixed", "cuda")
        self.channels_last, self.fused, self.tf32, self.compiled = channels_last, fused, tf32, compiled
        self.before: str | None = None

    def convert_module(self, module: nn.Module) -> nn.Module:
        if self.tf32:
            self.before = torch.get_float32_matmul_precision()
            torch.set_float32_matmul_precision("high")
        if self.compiled:
            compile_networks(module)
        return module.to(memory_format=torch.channels_last) if self.channels_last else module

    def connect(
        self, model: nn.Module, optimizers: list[Optimizer], lr_schedulers: list[Any]
    ) -> tuple[nn.Module, list[Optimizer], list[Any]]:
        if self.fused:  # before the state of a checkpoint comes, which keeps its own way
            fuse(optimizers)
        return super().connect(model, optimizers, lr_schedulers)

    def teardown(self) -> None:
        if self.before is not None:
            torch.set_float32_matmul_precision(self.before)


def may_overflow(precision: Precision) -> bool:
    """Whether gradients are scaled, as those of half precision are."""
    return isinstance(precision, MixedPrecision) and precision.scaler is not None


def fuse(optimizers: Sequence[Optimizer]) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if "fused" in group and all(p.is_cuda and p.is_floating_point() for p in group["params"]):
                group["fused"], group["foreach"] = True, False
