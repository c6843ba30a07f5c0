"""CLIP's vision transformer in the layouts that others save it in, under timm's names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from datamodules.runtime.errors import UserError

QUICKGELU = "vit_large_patch14_clip_quickgelu_224"  # OpenAI's activation; the one with GELU has the same names
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
# of transformers, without what is before 'embeddings' and 'encoder'
TRANSFORMERS = {
    r"embeddings\.class_embedding": "cls_token",
    r"embeddings\.position_embedding\.weight": "pos_embed",
    r"embeddings\.patch_embedding\.weight": "patch_embed.proj.weight",
    r"pre_layrnorm\.(.+)": r"norm_pre.\1",
    r"post_layernorm\.(.+)": r"norm.\1",
    r"encoder\.layers\.(\d+)\.layer_norm([12])\.(.+)": r"blocks.\1.norm\2.\3",
    r"encoder\.layers\.(\d+)\.self_attn\.qkv\.(.+)": r"blocks.\1.attn.qkv.\2",
    r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(.+)": r"blocks.\1.attn.proj.\2",
    r"encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(.+)": r"blocks.\1.mlp.\2.\3",
}
# of OpenAI's own code, below 'visual.'
OPENAI = {
    r"class_embedding": "cls_token",
    r"positional_embedding": "pos_embed",
    r"conv1\.weight": "patch_embed.proj.weight",
    r"ln_pre\.(.+)": r"norm_pre.\1",
    r"ln_post\.(.+)": r"norm.\1",
    r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(.+)": r"blocks.\1.attn.qkv.\2",
    r"transformer\.resblocks\.(\d+)\.attn\.out_proj\.(.+)": r"blocks.\1.attn.proj.\2",
    r"transformer\.resblocks\.(\d+)\.ln_([12])\.(.+)": r"blocks.\1.norm\2.\3",
    r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(.+)": r"blocks.\1.mlp.fc1.\2",
    r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(.+)": r"blocks.\1.mlp.fc2.\2",
}
PROJECTION = re.compile(r"(.+\.)([qkv])_proj\.(weight|bias)")


def stack_projections(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values in one tensor, ``qkv``, as timm has them; other tensors as they are."""
    out: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        if (found := PROJECTION.fullmatch(name)) is None:
            out[name] = value
        else:
            parts.setdefault(f"{found[1]}qkv.{found[3]}", {})[found[2]] = value
    for name, each in parts.items():
        if missing := sorted({"q", "k", "v"} - each.keys()):
            raise UserError(f"{name.replace('qkv', f'{missing[0]}_proj')}: missing")
        out[name] = torch.cat([each["q"], each["k"], each["v"]])
    return out


def prefix_rules(prefix: str, rules: Mapping[str, str]) -> dict[str, str]:
    """The rules of names that begin so."""
    return {re.escape(prefix) + theirs: ours for theirs, ours in rules.items()}


def give_batch_axis(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The class token (D,) and the positions (L, D) with the axis that timm has before them."""
    out = dict(state)
    out["cls_token"] = out["cls_token"].reshape(1, 1, -1)
    out["pos_embed"] = out["pos_embed"].reshape(1, -1, out["cls_token"].shape[-1])
    return out


def one_logit(state: Mapping[str, Tensor], forged: int = 1, head: str = "head") -> dict[str, Tensor]:
    """A head of two classes as one: the sigmoid of the difference is the soft-max.

    Args:
        forged: Row of the head that is for forged faces.
        head: Name of the layer.
    """
    out = dict(state)
    for kind in ("weight", "bias"):
        rows = out[f"{head}.{kind}"]
        if len(rows) != 2:
            raise UserError(f"{head}.{kind}: has {len(rows)} classes, must have 2")
        out[f"{head}.{kind}"] = (rows[forged] - rows[1 - forged])[None]
    return out
