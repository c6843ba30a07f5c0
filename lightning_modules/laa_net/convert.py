"""The authors' checkpoints of LAA-Net, under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules.laa_net.network import LAANetwork
from lightning_modules.trunks import efficientnet_names
from lightning_modules.weights import rename_state, strip_prefix

PREFIXES = {
    "deconv_1.0": "pyramid.conv5",
    "deconv_2.0": "pyramid.conv4",
    "deconv_2.1": "pyramid.up4.0",
    "deconv_2.2": "pyramid.up4.1",
    "deconv_3.0": "pyramid.conv3",
    "deconv_3.1": "pyramid.up3.0",
    "deconv_3.2": "pyramid.up3.1",
    "deconv_4.0.pw_block": "pyramid.inception.point",
    "deconv_4.0.conv3_block": "pyramid.inception.three",
    "deconv_4.0.conv5_block": "pyramid.inception.five",
    "deconv_4.1": "pyramid.up2.0",
    "deconv_4.2": "pyramid.up2.1",
    "hm": "points",
    "cls": "label",
    "cstency": "embedding",
}
ALIAS, ALIASED = "inception_block.", "deconv_4.0."


def rules() -> dict[str, str]:
    """Pattern of the authors' names and what stands for it here."""
    out = efficientnet_names.rules(ours_before="trunk.")
    for theirs, ours in PREFIXES.items():
        out[rf"{re.escape(theirs)}\.(.+)"] = rf"{ours}.\1"
    return out


def convert_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict of LAA-Net with EfficientNet-B4 to that of ``Network``.

    Args:
        state: 803 tensors, with or without ``module.`` before their names.
    """
    given = strip_prefix(state)
    for name in [name for name in given if name.startswith(ALIAS)]:
        twin = given.get(ALIASED + name.removeprefix(ALIAS))
        if twin is None or not torch.equal(twin, given.pop(name)):
            raise UserError(f"{name}: differs from {ALIASED + name.removeprefix(ALIAS)}, whose alias it is")
    return rename_state(given, rules(), LAANetwork, "LAA-Net with EfficientNet-B4")
