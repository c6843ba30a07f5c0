"""EfficientNet-B4 of efficientnet_pytorch under timm's names."""

from __future__ import annotations

REPEATS = (2, 4, 4, 6, 6, 8, 2)  # blocks of each stage
BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# the first stage does not expand: timm counts its layers from the depthwise convolution
FIRST = {**BLOCK, "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OTHERS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}


def rules(theirs_before: str = "", ours_before: str = "") -> dict[str, str]:
    """Pattern of their names and what stands for it here.

    Args:
        theirs_before: Pattern of what comes before each of their names.
        ours_before: Likewise, of ours.
    """
    out, number = {}, 0
    for stage, count in enumerate(REPEATS):
        for block in range(count):
            for theirs, ours in (BLOCK if stage else FIRST).items():
                name = rf"{theirs_before}_blocks\.{number}\.{theirs}\.(.+)"
                out[name] = rf"{ours_before}blocks.{stage}.{block}.{ours}.\1"
            number += 1
    for theirs, ours in OTHERS.items():
        out[rf"{theirs_before}{theirs}\.(.+)"] = rf"{ours_before}{ours}.\1"
    return out
