"""Fast arithmetic on a CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from pytorch_lightning.plugins.precision import Precision
from torch import nn


def computes_in_bfloat16() -> bool:
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


class CPUPrecision(Precision):
    """Channels last; bfloat16 where the processor computes in it: elsewhere it would be emulated, and slower."""

    def __init__(self) -> None:
        self.bfloat16 = computes_in_bfloat16()

    def convert_module(self, module: nn.Module) -> nn.Module:
        return module.to(memory_format=torch.channels_last)

    def forward_context(self) -> AbstractContextManager[None]:
        return torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else nullcontext()
