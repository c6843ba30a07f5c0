"""The authors' checkpoint of Forensics Adapter, under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules.forada.network import DEPTH, ForensicsNetwork
from lightning_modules.released import DEEPFAKEBENCH, ReleasedWeights
from lightning_modules.trunks import clip_names
from lightning_modules.weights import rename_state, strip_prefix

VISUAL = "clip_model.visual."
# the same tensors under other names, and what these are of
ALIASES = {
    r"rec_attn_clip\.vit\.(.+)": rf"{VISUAL}\1",
    r"rec_attn_clip\.resblocks\.(.+)": rf"{VISUAL}transformer.resblocks.\1",
    r"rec_attn_clip\.(ln_post\..+|proj)": rf"{VISUAL}\1",
}
# the text half of CLIP, blocks and a patch embedding that no pass goes through, and a scale that nothing reads
LEFT_OUT = "|".join(["patch_embed", "norm", "head", *(rf"blocks\.{i}" for i in range(DEPTH, 12))])
UNUSED = re.compile(
    rf"clip_model\.(?!visual\.).+|adapter\.vit_model\.(({LEFT_OUT})\..+|cls_token)|rec_attn_clip\.intra_scale"
)
RULES = {
    rf"{re.escape(VISUAL)}proj": "proj",
    **{theirs: f"clip.{ours}" for theirs, ours in clip_names.prefix_rules(VISUAL, clip_names.OPENAI).items()},
    r"adapter\.mask_decoder\.(.+)": r"decoder.\1",
    r"adapter\.vit_model\.(pos_embed|blocks\..+)": r"adapter.\1",
    r"adapter\.(patch_conv\..+|query_embed|query_pos_embed|ln_pre\..+)": r"adapter.\1",
    r"rec_attn_clip\.clip_intra_blocks\.0\.(.+)": r"intra.\1",
    r"clip_post_process\.first_process\.(.+)": r"over_queries.\1",
    r"clip_post_process\.second_process\.(.+)": r"score.\1",
    r"masked_xray_post_process\.process\.(.+)": r"boundary.\1",
}
NETWORK = {"clip": clip_names.QUICKGELU, "size": 256, "clip_size": 224}


def drop_aliases(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor under one name, once its other names were found to be of the same values."""
    out = dict(state)
    for name, value in state.items():
        for alias, target in ALIASES.items():
            if found := re.fullmatch(alias, name):
                twin = state.get(found.expand(target))
                if twin is None or not torch.equal(twin, value):
                    raise UserError(f"{name}: differs from {found.expand(target)}, whose alias it is")
                del out[name]
    return out


def convert_released(state: Mapping[str, Tensor], file: Path) -> ReleasedWeights:
    """
    Args:
        state: 1253 tensors, with or without ``module.`` before their names.
        file: That they are from.
    """
    given = drop_aliases(strip_prefix(state))
    given = {name: value for name, value in given.items() if not UNUSED.fullmatch(name)}
    ours = rename_state(given, RULES, ForensicsNetwork, "Forensics Adapter")
    for name, shape in (("clip.cls_token", (1, 1, -1)), ("clip.pos_embed", (1, *ours["clip.pos_embed"].shape[-2:]))):
        ours[name] = ours[name].reshape(shape)
    return ReleasedWeights(state=clip_names.one_logit(ours, head="score.4"), network=NETWORK, protocol=DEEPFAKEBENCH)
