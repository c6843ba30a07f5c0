"""GenD's checkpoints as classifiers on CLIP, PE or DINOv3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_json, show
from lightning_modules.released import Protocol, ReleasedWeights
from lightning_modules.trunks import clip_names
from lightning_modules.weights import rename_state, strip_prefix

HEAD = {r"model\.linear\.(.+)": r"head.\1"}
DINOV3 = {
    r"embeddings\.cls_token": "cls_token",
    r"embeddings\.register_tokens": "reg_token",
    r"embeddings\.patch_embeddings\.(.+)": r"patch_embed.proj.\1",
    r"layer\.(\d+)\.norm([12])\.(.+)": r"blocks.\1.norm\2.\3",
    r"norm\.(.+)": r"norm.\1",
    r"layer\.(\d+)\.attention\.qkv\.weight": r"blocks.\1.attn.qkv.weight",
    r"layer\.(\d+)\.attention\.([qv])_proj\.bias": r"blocks.\1.attn.\2_bias",
    r"layer\.(\d+)\.attention\.o_proj\.(.+)": r"blocks.\1.attn.proj.\2",
    r"layer\.(\d+)\.mlp\.up_proj\.(.+)": r"blocks.\1.mlp.fc1.\2",
    r"layer\.(\d+)\.mlp\.down_proj\.(.+)": r"blocks.\1.mlp.fc2.\2",
    r"layer\.(\d+)\.layer_scale([12])\.lambda1": r"blocks.\1.gamma_\2",
}
CLIP_PREFIX, OTHER_PREFIX = "feature_extractor.vision_model.", "feature_extractor.backbone."
# of metrics in training checkpoints; CLIP's projection to 768 dimensions, a table of numbers and a token for masks,
# none of which the score reads
UNUSED = re.compile(
    r".*_step_outputs\..+|feature_extractor\.visual_projection\.weight|.+\.embeddings\.(position_ids|mask_token)"
)
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
# what tells the three apart, and what each is
VARIANTS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "CLIP": (
        f"{CLIP_PREFIX}pre_layrnorm.weight",
        clip_names.prefix_rules(CLIP_PREFIX, clip_names.TRANSFORMERS),
        {"backbone": clip_names.QUICKGELU, "pooling": "token", "mean": clip_names.MEAN, "std": clip_names.STD},
    ),
    "PE": (
        f"{OTHER_PREFIX}attn_pool.latent",
        {re.escape(OTHER_PREFIX) + "(.+)": r"\1"},
        {"backbone": "vit_pe_core_large_patch14_336", "pooling": "map", "mean": [0.5] * 3, "std": [0.5] * 3},
    ),
    "DINOv3": (
        f"{OTHER_PREFIX}embeddings.register_tokens",
        clip_names.prefix_rules(OTHER_PREFIX, DINOV3),
        {"backbone": "vit_large_patch16_dinov3_qkvb", "pooling": "token", **IMAGENET},
    ),
}
SIDE = 224
PROTOCOL = Protocol(
    margin=1.3,
    aligned=True,
    size=SIDE,
    frames=32,
    faces="mean of every face of every frame in the authors' app, the largest in their tables",
    detector="RetinaFace det_10g (buffalo_l), score above 0.5",
)


def convert_released(state: Mapping[str, Tensor], file: Path) -> ReleasedWeights:
    """
    Args:
        state: 394 tensors on CLIP, 310 on PE or 417 on DINOv3; those of metrics in a training checkpoint are dropped.
        file: That they are from; a config.json beside it says which head it has, the normalized one if there is none.
    """
    given = {name: value for name, value in strip_prefix(state).items() if not UNUSED.fullmatch(name)}
    variant = next((name for name, (key, _, _) in VARIANTS.items() if key in given), None)
    if variant is None:
        raise UserError("no state dict of GenD: it has the tensors of none of " + ", ".join(VARIANTS))
    _, rules, network = VARIANTS[variant]
    stacked = stack_dino(given) if variant == "DINOv3" else clip_names.stack_projections(given)
    options = {"num_classes": 1, "img_size": SIDE, "global_pool": network["pooling"]}
    build = partial(timm.create_model, network["backbone"], **options)
    ours = rename_state(stacked, HEAD | rules, build, f"GenD on {variant}")
    if variant == "CLIP":
        ours = clip_names.give_batch_axis(ours)
    if variant == "PE":
        ours["pos_embed"] = resample(ours["pos_embed"], build)
    whole = network | {"img_size": SIDE, "unit_features": has_unit_features(file.with_name("config.json"))}
    return ReleasedWeights(state=clip_names.one_logit(ours), network=whole, protocol=PROTOCOL)


def has_unit_features(config: Path) -> bool:
    head = read_json(config, dict).get("head", "LinearNorm") if config.is_file() else "LinearNorm"
    if head not in ("LinearNorm", "linear"):
        raise UserError(f"{config}: head {show(head)}: must be LinearNorm or linear")
    return bool(head == "LinearNorm")


def stack_dino(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of queries, keys and values in one; their biases stay apart, and keys have none."""
    biases = {name: value for name, value in state.items() if name.endswith("_proj.bias")}
    rest = clip_names.stack_projections({name: value for name, value in state.items() if name not in biases})
    return rest | biases


def resample(positions: Tensor, build: Any) -> Tensor:
    """Positions of 24 x 24 patches for 16 x 16, as the network itself would on every pass."""
    from timm.layers import resample_abs_pos_embed

    with torch.device("meta"):
        net: Any = build()
    grid = net.patch_embed.grid_size
    if positions.shape[1] == net.num_prefix_tokens + grid[0] * grid[1]:
        return positions
    out: Tensor = resample_abs_pos_embed(positions, list(grid), num_prefix_tokens=net.num_prefix_tokens)
    return out
