"""Operations of a training step, counted without a GPU."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Operations(TorchDispatchMode):
    """Counts what torch is asked to compute; a view computes nothing.

    A host read needs no count of its own: on the meta device, where tensors have no values, each of them raises.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.count.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and on_device(out):
            self.count[str(func)] += 1
        return out


def on_device(out: Any) -> bool:
    """Whether it is computed where the batch is: small numbers that the CPU draws and arranges are not counted."""
    tensors = out if isinstance(out, list | tuple) else [out]
    return not tensors or any(isinstance(one, torch.Tensor) and one.is_meta for one in tensors) or out is None
