"""The authors' checkpoints of FakeSTormer, under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lightning_modules.fakestormer.network import RELEASED, StormNetwork
from lightning_modules.released import Protocol, ReleasedWeights
from lightning_modules.weights import rename_state, strip_prefix

UNUSED = re.compile(r"backbone\.norm_t_cls\..+")  # no pass goes through it
RULES = {
    r"backbone\.(.+)": r"backbone.\1",
    r"keypoint_head\.cls\.fc_out\.(.+)": r"label.\1",
    r"keypoint_head\.temp_loc\.fc1\.0\.(.+)": r"temporal.0.\1",
    r"keypoint_head\.temp_loc\.fc_out\.(.+)": r"temporal_out.\1",
    r"keypoint_head\.hm\.before_proj\.0\.([01])\.(.+)": r"heat.\1.\2",
    r"keypoint_head\.hm\.proj\.0\.0\.(.+)": r"heat.3.\1",
    r"keypoint_head\.hm\.proj\.0\.1\.(.+)": r"heat.4.\1",
    r"keypoint_head\.hm\.proj\.1\.(.+)": r"heat.6.\1",
}
NETWORK = {"backbone": RELEASED, "size": 224, "frames": 4}
PROTOCOL = Protocol(
    margin=1.324,  # a quarter of the box on each side, of which 15 of 256 pixels are cut off
    aligned=False,
    size=224,
    frames=32,
    clip=4,
    video_score="sigmoid of the mean of logits",
    faces="one face, the largest and most certain",
    detector="RetinaFace ResNet-50",
)


def convert_released(state: Mapping[str, Tensor], file: Path) -> ReleasedWeights:
    """
    Args:
        state: 274 tensors, with or without ``module.`` before their names.
        file: That they are from.
    """
    given = {name: value for name, value in strip_prefix(state).items() if not UNUSED.fullmatch(name)}
    ours = rename_state(given, RULES, StormNetwork, "FakeSTormer on ViT-B/16")
    # kernels of 3 x 1 x 1, which see one place alone
    ours = {name: value.flatten(2) if value.ndim == 5 else value for name, value in ours.items()}
    return ReleasedWeights(state=ours, network=NETWORK, protocol=PROTOCOL)
