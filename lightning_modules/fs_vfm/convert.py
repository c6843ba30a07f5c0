"""FSFM's and FS-VFM's vision transformers of faces: fine-tuned ones as classifiers, pretrained ones to start from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import timm
from torch import Tensor

from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_text
from lightning_modules.released import Protocol, ReleasedWeights
from lightning_modules.trunks import clip_names
from lightning_modules.weights import rename_state, strip_prefix

# width: timm's network of it, and its heads: those of the small one are twice as many as timm's
SIZES = {384: ("vit_small_patch16_224", 12), 768: ("vit_base_patch16_224", 12), 1024: ("vit_large_patch16_224", 16)}
# of the pretraining; its norm is one of all tokens, and a classifier has one of their mean
PRETRAINING = re.compile(r"mask_token|(rep_decoder_|decoder_|projector\.|predictor\.).*|norm\..+")
# of faces of VGGFace2, which both were pretrained on
MEAN = [0.5482207536697388, 0.42340534925460815, 0.3654651641845703]
STD = [0.2789176106452942, 0.2438540756702423, 0.23493893444538116]
STATISTICS = "pretrain_ds_mean_std.txt"
FORGED = 0  # their classes are in alphabetical order: fake, real
PROTOCOL = Protocol(
    margin=1.1375,  # 1.3, of which the middle 224 of 256 pixels are seen
    aligned=False,
    size=224,
    frames=32,
    faces="one face, the first that is found",
    detector="dlib HOG",
)


def convert_released(state: Mapping[str, Tensor], file: Path) -> ReleasedWeights:
    """
    Args:
        state: Of a fine-tuned classifier; or of a pretrained model, whose encoder alone is taken.
        file: That they are from; statistics of pixels that lie beside it are its own.
    """
    given = strip_prefix(state)
    token = given.get("cls_token")
    if token is None or token.shape[-1] not in SIZES:
        widths = ", ".join(map(str, SIZES))
        raise UserError(f"cls_token: {'missing' if token is None else token.shape[-1]}; must be {widths} wide")
    backbone, heads = SIZES[token.shape[-1]]
    is_fine_tuned = "head.weight" in given
    if not is_fine_tuned:
        given = {name: value for name, value in given.items() if not PRETRAINING.fullmatch(name)}
    options: dict[str, Any] = {"global_pool": "avg", "num_heads": heads, "num_classes": 2 if is_fine_tuned else 0}
    build = partial(timm.create_model, backbone, **options)
    ours = rename_state(given, {r"(.+)": r"\1"}, build, f"FS-VFM on {backbone}", None if is_fine_tuned else "fc_norm.")
    mean, std = read_statistics(file.with_name(STATISTICS))
    network = {"backbone": backbone, "pooling": "avg", "num_heads": heads, "img_size": 224, "unit_features": False}
    network |= {"mean": mean, "std": std}
    if is_fine_tuned:
        return ReleasedWeights(state=clip_names.one_logit(ours, FORGED), network=network, protocol=PROTOCOL)
    return ReleasedWeights(state=ours, network=network, protocol=None)


def read_statistics(path: Path) -> tuple[list[float], list[float]]:
    """Mean and deviation of the pixels of pretraining: those of VGGFace2 where no file says."""
    if not path.is_file():
        return MEAN, STD
    import json

    try:
        values = json.loads(read_text(path).splitlines()[0])
        mean, std = ([float(x) for x in values[name]] for name in ("mean", "std"))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path}: its first line must be JSON with mean and std, three numbers each") from error
    if len(mean) != 3 or len(std) != 3:
        raise UserError(f"{path}: its first line must be JSON with mean and std, three numbers each")
    return mean, std
