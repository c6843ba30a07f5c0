"""The authors' checkpoints of ST-DDL, under our names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lightning_modules.st_ddl.network import STDDLNetwork
from lightning_modules.weights import rename_state, strip_prefix

RULES = {
    r"encoder_rgb\.final_layer\.(.+)": r"pixels.final_layer.\1",
    r"encoder_rgb\.(.+)": r"pixels.trunk.\1",
    r"encoder_motion\.final_layer\.(.+)": r"motion.final_layer.\1",
    r"encoder_motion\.(.+)": r"motion.trunk.\1",
    r"sa\.m_qv\.(.+)": r"fusion.query_value.\1",
    r"sa\.m_k\.(.+)": r"fusion.key.\1",
    r"sa\.(.+)": r"fusion.\1",
    r"feats2mask\.(.+)": r"mask.\1",
    r"feats2cls\.0\.(.+)": r"label.\1",
}


def convert_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict of ST-DDL with HRNet-W32 to that of ``Network``.

    Args:
        state: 3560 tensors, with or without ``module.`` before their names.
    """
    return rename_state(strip_prefix(state), RULES, STDDLNetwork, "ST-DDL with HRNet-W32")
