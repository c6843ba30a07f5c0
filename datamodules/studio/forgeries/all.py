"""Every forgery of the studio under the name of its folder."""

from __future__ import annotations

from datamodules.studio.forgeries.base import Forgery
from datamodules.studio.forgeries.edits import inpaint, local_edit, outside_edit
from datamodules.studio.forgeries.expression import neural_texture, reenactment
from datamodules.studio.forgeries.identity import morph, swap
from datamodules.studio.forgeries.motion import temporal_jitter, temporal_smooth

FORGERIES: dict[str, Forgery] = {
    "Swap": swap,
    "Morph": morph,
    "Reenactment": reenactment,
    "NeuralTexture": neural_texture,
    "LocalEdit": local_edit,
    "OutsideEdit": outside_edit,
    "Inpaint": inpaint,
    "TemporalJitter": temporal_jitter,
    "TemporalSmooth": temporal_smooth,
}
