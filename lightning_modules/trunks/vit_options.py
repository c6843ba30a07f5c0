"""What can be chosen of a timm transformer beside its name: the size of its images, its pooling, its heads."""

from __future__ import annotations

from typing import Any, Literal

import timm
import torch

from datamodules.runtime.errors import UserError
from lightning_modules.trunks import timm_names
from lightning_modules.trunks.class_activation import is_transformer

Pooling = Literal["token", "avg", "max", "avgmax", "map"]


def vit_options(backbone: str, img_size: int | None, pooling: Pooling | None, num_heads: int | None) -> dict[str, Any]:
    """Those of timm.create_model, refused where the backbone is no transformer."""
    given: dict[str, Any] = {"img_size": img_size, "pooling": pooling, "num_heads": num_heads}
    chosen = {name: value for name, value in given.items() if value is not None}
    if not chosen:
        return {}
    timm_names.check("backbone", backbone)
    with torch.device("meta"):
        net: Any = timm.create_model(backbone)
    name, value = next(iter(chosen.items()))
    if not is_transformer(net):
        raise UserError(f"{name} {value}: is that of a vision transformer, which backbone {backbone!r} is not")
    patch = net.patch_embed.patch_size[0]
    if img_size is not None and (img_size < patch or img_size % patch):
        raise UserError(f"img_size {img_size}: must be a multiple of {patch}, the patches of backbone {backbone!r}")
    if num_heads is not None and (num_heads < 1 or net.num_features % num_heads):
        raise UserError(f"num_heads {num_heads}: must divide {net.num_features}, the width of backbone {backbone!r}")
    if pooling == "map" and net.attn_pool is None:
        raise UserError(f"pooling map: backbone {backbone!r} has no attention pooling")
    return {{"pooling": "global_pool"}.get(name, name): value for name, value in chosen.items()}


def describe(net: Any) -> dict[str, Any]:
    """What is to be known of a timm network beside its names and shapes, which others share."""
    found: dict[str, Any] = {"backbone": net.pretrained_cfg["architecture"]}
    if is_transformer(net):
        side = net.patch_embed.img_size
        found |= {"img_size": side[0] if side else None, "pooling": net.global_pool}
        found["num_heads"] = net.blocks[0].attn.num_heads
    return found
