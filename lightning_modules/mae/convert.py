"""Masked autoencoders of MAE's and of RFFR's released code, under our names."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules.mae.network import MAE, positions
from lightning_modules.weights import rename_state

GENERATOR = ("module.", "rg.inpainter.")


def convert_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A masked autoencoder, decoder included, of RFFR's released code or of MAE's, to that of ``MAE``.

    Args:
        state: 254 tensors of ViT-B, as they are or with ``module.`` or ``rg.inpainter.`` before their names.
    """
    for prefix in GENERATOR:
        state = {name.removeprefix(prefix): value for name, value in state.items() if not name.startswith("dd.")}
    if "decoder_pred.weight" not in state:
        raise UserError("decoder_pred.weight: missing; an encoder alone recovers nothing")
    out = rename_state(state, {r"(.+)": r"\1"}, MAE, "MAE")
    for name in ("pos_embed", "decoder_pos_embed"):
        table = positions(out[name].shape[2], math.isqrt(out[name].shape[1] - 1))
        if out[name].shape != table.shape or (out[name].float() - table).abs().max() > 1e-6:
            raise UserError(f"{name}: is not the table of sines and cosines")
    return out
