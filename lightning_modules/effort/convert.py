"""Effort's checkpoints as classifiers: a plain CLIP with a linear head, once its decomposition is folded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import timm
from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules.released import DEEPFAKEBENCH, ReleasedWeights
from lightning_modules.trunks import clip_names
from lightning_modules.weights import rename_state, strip_prefix

PARTS = ("weight_main", "U_residual", "S_residual", "V_residual")
KEPT = re.compile(r".+\.(S_r|U_r|V_r)|.+\.embeddings\.position_ids")  # losses alone look at them
RULES = clip_names.prefix_rules("backbone.", clip_names.TRANSFORMERS) | {r"head\.(.+)": r"head.\1"}
NETWORK = {"backbone": clip_names.QUICKGELU, "pooling": "token", "img_size": 224, "unit_features": False}
NETWORK |= {"mean": clip_names.MEAN, "std": clip_names.STD}
PROTOCOL = replace(DEEPFAKEBENCH, size=224, frames=8)


def convert_released(state: Mapping[str, Tensor], file: Path) -> ReleasedWeights:
    """
    Args:
        state: 969 tensors, or 681 without the factors that only losses read.
        file: That they are from.
    """
    given = {name: value for name, value in strip_prefix(state).items() if not KEPT.fullmatch(name)}
    stacked = clip_names.stack_projections(fold(given))
    build = partial(timm.create_model, clip_names.QUICKGELU, num_classes=1)
    ours = clip_names.give_batch_axis(rename_state(stacked, RULES, build, "Effort on CLIP ViT-L/14"))
    return ReleasedWeights(state=clip_names.one_logit(ours), network=NETWORK, protocol=PROTOCOL)


def fold(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each decomposed projection as one weight: what was kept, and the directions that were trained."""
    out = {name: value for name, value in state.items() if name.rpartition(".")[2] not in PARTS}
    for name in [name for name in state if name.endswith(".weight_main")]:
        layer = name.removesuffix(".weight_main")
        if missing := [part for part in PARTS if f"{layer}.{part}" not in state]:
            raise UserError(f"{layer}.{missing[0]}: missing")
        main, u, s, v = (state[f"{layer}.{part}"] for part in PARTS)
        out[f"{layer}.weight"] = main + (u * s) @ v
    return out
