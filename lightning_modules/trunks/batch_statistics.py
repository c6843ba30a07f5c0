"""Batch norms: how fast their statistics follow the batches, and whose do not."""

from __future__ import annotations

from torch import nn

from datamodules.runtime.errors import UserError


def set_momentum(net: nn.Module, momentum: float) -> None:
    if not 0 < momentum <= 1:
        raise UserError(f"momentum {momentum:g}: must be above 0 and at most 1")
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = momentum


def keep_frozen(net: nn.Module) -> None:
    """Leaves the statistics as they are where the weights are not trained."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            trained = [p.requires_grad for p in module.parameters()]
            if trained and not any(trained):
                module.eval()
