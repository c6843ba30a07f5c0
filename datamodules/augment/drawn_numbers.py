"""Numbers that the CPU draws, brought to the device of a batch together: each copy of its own would be waited for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def move(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Those of one type in one copy, which nothing waits for; on a CPU they are given back as they are."""
    if device.type == "cpu":
        return list(tensors)
    out: list[Tensor | None] = [None] * len(tensors)
    for dtype in dict.fromkeys(one.dtype for one in tensors):
        mine = [i for i, one in enumerate(tensors) if one.dtype == dtype]
        flat = torch.cat([tensors[i].flatten() for i in mine]).to(device, non_blocking=True)
        for i, part in zip(mine, flat.split([tensors[i].numel() for i in mine]), strict=True):
            out[i] = part.view(tensors[i].shape)
    return [one for one in out if one is not None]
