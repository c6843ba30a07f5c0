"""Checkpoints of RFFR's released code, under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lightning_modules.rffr.network import RFFRNetwork
from lightning_modules.weights import rename_state, strip_prefix

RULES = {
    r"rg\.inpainter\.(.+)": r"generator.\1",
    r"dd\.backbone_1\.(.+)": r"branches.pixels.vit.\1",
    r"dd\.backbone_2\.(.+)": r"branches.residual.vit.\1",
    r"dd\.classifier\.(.+)": r"classifier.\1",
}
UNUSED = re.compile(r"dd\.backbone_[12]\.head\..+")  # a thousand classes of ImageNet, which nothing reads


def convert_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A released state dict of the whole model, or of the detector as it was saved, to that of ``Network``.

    Args:
        state: 560 tensors, or 306 without a generator, which is then converted by itself; with or without
            ``module.`` before their names.
    """
    state = strip_prefix(state)
    if alone := not any(name.startswith("dd.") for name in state):
        state = {f"dd.{name}": value for name, value in state.items()}
    used = {name: value for name, value in state.items() if not UNUSED.fullmatch(name)}
    return rename_state(used, RULES, RFFRNetwork, "RFFR", but="generator." if alone else None)
