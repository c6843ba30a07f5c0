"""The released detectors of self-blended images as classifiers on EfficientNet-B4."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import timm
from torch import Tensor

from lightning_modules.released import Protocol, ReleasedWeights
from lightning_modules.trunks import clip_names, efficientnet_names
from lightning_modules.weights import rename_state, strip_prefix

BACKBONE = "tf_efficientnet_b4"
RULES = efficientnet_names.rules(r"net\.") | {r"net\._fc\.(.+)": r"classifier.\1"}
NETWORK = {"backbone": BACKBONE, "unit_features": False, "mean": [0.0] * 3, "std": [1.0] * 3}  # not normalized
PROTOCOL = Protocol(
    margin=1.25,  # an eighth of the box on each side
    aligned=False,
    size=380,
    frames=32,
    faces="maximum over faces of at least half the area of the largest in the frame; 0.5 for a video without a face",
    detector="RetinaFace ResNet-50, aspect of the box not kept",
)


def convert_released(state: Mapping[str, Tensor], file: Path) -> ReleasedWeights:
    """
    Args:
        state: 706 tensors, all with ``net.`` before their names.
        file: That they are from.
    """
    build = partial(timm.create_model, BACKBONE, num_classes=1)
    ours = rename_state(strip_prefix(state), RULES, build, "SBI with EfficientNet-B4")
    return ReleasedWeights(state=clip_names.one_logit(ours, head="classifier"), network=NETWORK, protocol=PROTOCOL)
