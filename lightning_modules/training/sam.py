"""Sharpness-aware minimization: the gradient that a step takes is that of the worst place nearby."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pytorch_lightning.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy, Strategy
from torch import Tensor, nn

from datamodules.runtime.errors import UserError

SHARDED = DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy  # a rank would move by the norm of its own part
Home = tuple[list[Tensor], list[Tensor]]  # parameters that moved, and what they were


def check_strategy(strategy: Strategy) -> None:
    if isinstance(strategy, SHARDED):
        name = type(strategy).__name__
        raise UserError(f"trainer.strategy {name}: must be ddp where each batch is passed twice, as with rho")


@torch.no_grad()
def perturb(parameters: Iterable[nn.Parameter], rho: float, may_overflow: bool = False) -> Home:
    """Moves the parameters by ``rho`` along their gradient, all taken as one vector; in a few operations for them all.

    Args:
        may_overflow: Whether gradients may be no finite numbers in half precision: nothing moves then, since the second
            pass overflows too, and the scaler passes it over. To know it, a GPU has to be waited for.
    """
    moved: list[Tensor] = [p for p in parameters if p.grad is not None]
    gradients = [p.grad for p in moved if p.grad is not None]
    if not moved:
        return [], []
    norm = torch.stack(torch._foreach_norm(gradients, 2, dtype=torch.float64)).norm()
    if may_overflow and not norm.isfinite():
        return [], []
    home = moved, list(torch._foreach_mul(moved, 1))  # torch 2.11 has no clone
    steps = torch._foreach_mul(gradients, (rho / (norm + 1e-12)).to(gradients[0].dtype))
    torch._foreach_add_(moved, list(steps))
    return home


@torch.no_grad()
def restore(home: Home) -> None:
    if home[0]:
        torch._foreach_copy_(home[0], home[1])
