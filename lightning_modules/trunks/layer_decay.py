"""Learning rates that fall from the head of a transformer to its patches."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from datamodules.runtime.errors import UserError
from lightning_modules.training.stepwise import SCALE

EMBEDDINGS = ("cls_token", "reg_token", "pos_embed", "patch_embed.")
NOT_DECAYED = ("cls_token", "reg_token", "pos_embed")  # by weights, and nothing of one dimension is


def group_by_layer(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Groups of what is trained: layer i of n + 1 at decay ** (n + 1 - i); 0 is the embeddings, n + 1 the head.

    Args:
        decay: By which the learning rate falls from one layer to the one before it.
    """
    blocks = getattr(net, "blocks", None)
    if not isinstance(blocks, nn.Sequential) or not hasattr(net, "patch_embed"):
        raise UserError(f"layer_decay {decay:g}: {type(net).__name__} has no layers of a transformer; must be 1")
    top = len(blocks) + 1
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if not parameter.requires_grad:
            continue
        found = re.match(r"blocks\.(\d+)\.", name)
        layer = 0 if name.startswith(EMBEDDINGS) else int(found[1]) + 1 if found else top
        is_decayed = parameter.ndim > 1 and name not in NOT_DECAYED
        groups.setdefault((layer, is_decayed), []).append(parameter)
    return [
        {"params": params, SCALE: decay ** (top - layer), **({} if is_decayed else {"weight_decay": 0.0})}
        for (layer, is_decayed), params in sorted(groups.items(), key=lambda one: one[0])
    ]
