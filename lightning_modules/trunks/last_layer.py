"""The last layer before a score, in float32 whatever the layers before it compute in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def no_autocast(x: Tensor) -> AbstractContextManager[object]:
    # only where there is one to leave: an exported program would hold the context
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def widen(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """All three in float32, or in float64 if the weights are."""
    kind = torch.promote_types(weight.dtype, torch.float32)
    return x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)


class Float32Linear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        with no_autocast(x):
            return F.linear(*widen(x, self.weight, self.bias))


class UnitLinear(Float32Linear):
    """Of features on the unit sphere: what counts is where they point."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1))


class Float32Conv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        with no_autocast(x):
            return self._conv_forward(*widen(x, self.weight, self.bias))


def compute_in_float32(layer: M) -> M:
    """The layer itself, changed in place: its linear layers and convolutions give float32 under autocast too.

    Of bfloat16, which has 8 bits, about every second score would be the same as another.
    """
    for module in layer.modules():
        if isinstance(module, nn.Linear):
            module.__class__ = Float32Linear  # same weights under the same name
        elif isinstance(module, nn.Conv2d):
            module.__class__ = Float32Conv2d
    return layer
