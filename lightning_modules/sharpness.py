"""Sharpness-aware minimization: the gradient that a step takes is that of the worst place nearby."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

Home = list[tuple[nn.Parameter, Tensor]]  # parameters that moved, and what they were


@torch.no_grad()
def climb(parameters: Iterable[nn.Parameter], rho: float) -> Home:
    """Moves the parameters by ``rho`` along their gradient, all taken as one vector."""
    moved = [p for p in parameters if p.grad is not None]
    if not moved:
        return []
    norm = torch.stack([torch.linalg.vector_norm(p.grad.double()) for p in moved if p.grad is not None]).norm()
    if not norm.isfinite():  # half precision overflowed: the second pass does so too, and the scaler passes it over
        return []
    home = [(p, p.detach().clone()) for p in moved]
    for p in moved:
        p.add_((p.grad * (rho / (norm + 1e-12))).to(p.dtype))
    return home


@torch.no_grad()
def come_home(home: Home) -> None:
    for p, value in home:
        p.copy_(value)
