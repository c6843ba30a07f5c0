"""A classifier with a second head that says where: one pass of the trunk tells whether and where a face was forged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import WHOLE
from lightning_modules.base import Prediction
from lightning_modules.classifier import Classifier
from lightning_modules.mask_losses import balanced_cross_entropy
from lightning_modules.trunks.last_layer import compute_in_float32

STRIDES = (8, 16, 32)


@dataclass(kw_only=True)
class Located(Prediction):
    cells: Tensor  # (B, T, 1, h, w) logits of the map where the trunk's finest features are, of what was shown


class MapHead(nn.Module):
    """Features of several strides, summed at the finest one, to one logit a cell."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)
        self.last = compute_in_float32(nn.Conv2d(width, 1, 1))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """
        Args:
            features: (B, C, h, w) each, the finest first.
        """
        size = features[0].shape[-2:]
        narrow = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        summed = torch.stack([F.interpolate(x, size, mode="bilinear") for x in narrow]).sum(0)
        logit: Tensor = self.last(F.relu(self.smooth(summed)))
        return logit


class Localizer(Classifier):
    """Scores each frame alone, as the classifier does, and marks what was forged in it, which it learns from masks."""

    map_by = "head"

    def __init__(self, map_weight: float = 1.0, map_width: int = 64, **kwargs: Any) -> None:
        """
        Args:
            map_weight: Weight of the map's loss.
            map_width: Channels of the map's head.
            **kwargs: See Classifier.
        """
        super().__init__(**kwargs)
        for name, value, least in (("map_weight", map_weight, 0), ("map_width", map_width, 1)):
            if not value >= least:
                raise UserError(f"{name} {value}: must be {least} or more")
        self.map_weight = map_weight
        self.exports_map = True
        self.levels, channels = find_levels(self.net)
        self.map_head = MapHead(channels, map_width)

    def forward(self, frames: Tensor, framed: bool = False) -> Located:
        """
        Args:
            frames: (B, T, 3, H, W).
            framed: Whether they are no prepared crops any more, but what is left of them.
        """
        (t, _, h, w), framing = frames.shape[1:], WHOLE if framed else self.framing
        last, features = self.net.forward_intermediates(self.normalize(frames, framing), indices=self.levels)
        cells = self.map_head(features)
        out = Located(
            logit=self.net.forward_head(last).unflatten(0, (-1, t)).flatten(1).mean(1),
            cells=cells.unflatten(0, (-1, t)),
        )
        if not self.training:
            out.mask_logit = framing.enlarge(cells, (h, w)).unflatten(0, (-1, t))
        return out

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(prediction, Located)
        shown = batch.mask if batch.framed else self.framing.crop(batch.mask)
        h, w = prediction.cells.shape[-2:]
        target = F.adaptive_avg_pool2d(shown.flatten(0, 1), (h, w)).view_as(prediction.cells)
        where = balanced_cross_entropy(prediction.cells, target, batch.has_mask)
        return super().losses(prediction, batch) | {"map": self.map_weight * where}


def find_levels(net: Any) -> tuple[list[int], list[int]]:
    """Which of timm's features have these strides, and their channels."""
    at = {level["reduction"]: i for i, level in enumerate(net.feature_info)}  # the last of each
    if not at.keys() >= set(STRIDES):
        strides = ", ".join(map(str, STRIDES))
        name = net.pretrained_cfg["architecture"]
        raise UserError(f"backbone {name!r}: must have features at strides {strides}; take a convolutional network")
    levels = [at[stride] for stride in STRIDES]
    return levels, [net.feature_info[i]["num_chs"] for i in levels]
