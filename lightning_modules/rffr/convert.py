"""Checkpoints of RFFR's released code, under our names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from torch import Tensor

from datamodules.runtime.errors import Refused
from lightning_modules.mae.network import MAE, positions
from lightning_modules.rffr.network import Network
from lightning_modules.weights import renamed, stripped

RULES = {
    r"rg\.inpainter\.(.+)": r"generator.\1",
    r"dd\.backbone_1\.(.+)": r"branches.pixels.vit.\1",
    r"dd\.backbone_2\.(.+)": r"branches.residual.vit.\1",
    r"dd\.classifier\.(.+)": r"classifier.\1",
}
UNUSED = re.compile(r"dd\.backbone_[12]\.head\..+")  # a thousand classes of ImageNet, which nothing reads


GENERATOR = ("module.", "rg.inpainter.")


def convert_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A masked autoencoder, decoder included, of RFFR's released code or of MAE's, to that of ``MAE``.

    Args:
        state: 254 tensors of ViT-B, as they are or with ``module.`` or ``rg.inpainter.`` before their names.
    """
    for prefix in GENERATOR:
        state = {name.removeprefix(prefix): value for name, value in state.items() if not name.startswith("dd.")}
    if "decoder_pred.weight" not in state:
        raise Refused("decoder_pred.weight: missing; an encoder alone recovers nothing")
    out = renamed(state, {r"(.+)": r"\1"}, MAE, "MAE")
    for name in ("pos_embed", "decoder_pos_embed"):
        table = positions(out[name].shape[2], math.isqrt(out[name].shape[1] - 1))
        if out[name].shape != table.shape or (out[name].float() - table).abs().max() > 1e-6:
            raise Refused(f"{name}: is not the table of sines and cosines")
    return out


def convert_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A released state dict of the whole model, or of the detector as it was saved, to that of ``Network``.

    Args:
        state: 560 tensors, or 306 without a generator, which is then converted by itself; with or without
            ``module.`` before their names.
    """
    state = stripped(state)
    if alone := not any(name.startswith("dd.") for name in state):
        state = {f"dd.{name}": value for name, value in state.items()}
    used = {name: value for name, value in state.items() if not UNUSED.fullmatch(name)}
    return renamed(used, RULES, Network, "RFFR", but="generator." if alone else None)
