"""The degradations of a test of robustness, five severities each."""

from __future__ import annotations

from typing import Literal, get_args

from datamodules.degradation.operations import (
    BlockDrop,
    Blur,
    Coded,
    Contrast,
    Crop,
    FrameDrop,
    Jpeg,
    Noise,
    Pixelation,
    Resize,
    Saturation,
    Stage,
)
from datamodules.runtime.errors import UserError

Kind = Literal[
    "h264",
    "h265",
    "resize",
    "frame_drop",
    "social",
    "jpeg",
    "blur",
    "noise",
    "contrast",
    "saturation",
    "block_drop",
    "pixelation",
]
NAMES: tuple[Kind, ...] = get_args(Kind)
SEVERITIES = 5

# contrast, saturation, blocks, noise, blur and pixels are the numbers of DeeperForensics-1.0; CRF, JPEG and sizes go
# through those that the field reports
SCALES: dict[Kind, list[list[Stage]]] = {
    "h264": [[Coded("libx264", crf)] for crf in (23, 28, 32, 36, 40)],
    "h265": [[Coded("libx265", crf)] for crf in (23, 28, 32, 36, 40)],
    "resize": [[Resize(scale)] for scale in (0.8, 0.65, 0.5, 0.35, 0.25)],
    "frame_drop": [[FrameDrop(share)] for share in (0.1, 0.25, 0.4, 0.55, 0.7)],
    # up to one network, down from it, and up to the next one by somebody who cut the border off
    "social": [
        [Resize(scale, back=False), Coded("libx264", first), Crop(share), Coded("libx264", second)]
        for scale, first, share, second in (
            (0.9, 23, 0.02, 26),
            (0.85, 26, 0.03, 28),
            (0.8, 28, 0.04, 31),
            (0.75, 30, 0.05, 34),
            (0.7, 32, 0.06, 37),
        )
    ],
    "jpeg": [[Jpeg(quality)] for quality in (90, 75, 60, 45, 30)],
    "blur": [[Blur(kernel)] for kernel in (7, 9, 13, 17, 21)],
    "noise": [[Noise(variance)] for variance in (0.001, 0.002, 0.005, 0.01, 0.05)],
    "contrast": [[Contrast(factor)] for factor in (0.85, 0.725, 0.6, 0.475, 0.35)],
    "saturation": [[Saturation(factor)] for factor in (0.4, 0.3, 0.2, 0.1, 0.0)],
    "block_drop": [[BlockDrop(blocks)] for blocks in (16, 32, 48, 64, 80)],
    "pixelation": [[Pixelation(side)] for side in (2, 3, 4, 5, 6)],
}


def stages(kind: Kind, severity: int) -> list[Stage]:
    if not 1 <= severity <= SEVERITIES:
        raise UserError(f"severity {severity}: must be from 1 to {SEVERITIES}")
    return SCALES[kind][severity - 1]
