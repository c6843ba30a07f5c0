"""Checkpoints of RFFR's released code, under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lightning_modules.recovery.detector import Network
from lightning_modules.weights import renamed, stripped

RULES = {
    r"rg\.inpainter\.(.+)": r"generator.\1",
    r"dd\.backbone_1\.(.+)": r"pixels.vit.\1",
    r"dd\.backbone_2\.(.+)": r"residual.vit.\1",
    r"dd\.classifier\.(.+)": r"classifier.\1",
}
UNUSED = re.compile(r"dd\.backbone_[12]\.head\..+")  # a thousand classes of ImageNet, which nothing reads


def convert_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A released state dict of the whole model, generator and detector, to that of ``Network``.

    Args:
        state: 560 tensors, with or without ``module.`` before their names.
    """
    used = {name: value for name, value in stripped(state).items() if not UNUSED.fullmatch(name)}
    return renamed(used, RULES, Network, "RFFR")
