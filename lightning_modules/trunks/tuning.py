"""Which parameters of a pretrained network are trained; the head is in every case."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from lightning_modules.trunks.class_activation import heads
from lightning_modules.trunks.low_rank import train_directions, train_lora

Tune = Literal["all", "norms", "none", "lora", "directions"]
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
RANKS = {"lora": 8, "directions": 1}  # where none is given


def tune_only(net: Any, tune: Tune, rank: int | None = None, keeps_rest: bool = False) -> None:
    """
    Args:
        rank: Of what is trained of each projection of the attention.
        keeps_rest: See low_rank.Directions.
    """
    if tune == "all":
        return
    net.requires_grad_(False)
    if tune == "norms":
        for module in net.modules():
            if isinstance(module, NORMS):
                module.requires_grad_(True)
    elif tune == "lora":
        train_lora(net, RANKS[tune] if rank is None else rank, "tune lora")
    elif tune == "directions":
        train_directions(net, RANKS[tune] if rank is None else rank, keeps_rest, "tune directions")
    for head in heads(net):
        head.requires_grad_(True)
