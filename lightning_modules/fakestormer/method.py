"""FakeSTormer: clips of real faces and their self-blended copies, scored by where and when a blend is vulnerable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.synthesis.clip_self_blend import ClipSelfBlend
from datamodules.synthesis.framing import WHOLE, Framing
from lightning_modules.base import Method, Prediction
from lightning_modules.fakestormer.network import RELEASED, StormHeads, StormNetwork, hide
from lightning_modules.fakestormer.targets import StormTargets, encode
from lightning_modules.metrics.functional import Pooled
from lightning_modules.released import check_network, read_released
from lightning_modules.trunks.input_size import fit
from lightning_modules.trunks.weights import TrunkWeights
from lightning_modules.weights import fill

PUBLISHED = Framing(cut=(5 / 256, 24 / 256))  # in training; testing cuts 15 of 256, about the middle
TEMPERATURE = 2.0  # of the logit in its loss, not in testing


@dataclass(kw_only=True)
class StormPrediction(Prediction):
    heads: StormHeads | None = None  # in training


class FakeSTormer(Method):
    """Scores clips of as many frames as it was built for; its map is where the edge of a blend changes over time."""

    map_of = "boundary"

    def __init__(
        self,
        backbone: str = RELEASED,
        trunk_weights: TrunkWeights = None,
        weights: Path | None = None,
        size: int = 224,
        frames: int = 4,
        drop_path: float = 0.3,
        hidden: float = 0.5,
        heat: float = 50.0,
        label: float = 0.8,
        temporal: float = 0.2,
        compat: bool = False,
        freeze_epochs: int = 0,
        framing: Framing = PUBLISHED,
        score_pooling: Pooled = "logit",
        **kwargs: Any,
    ) -> None:
        """
        Args:
            backbone: Name of a timm vision transformer with a class token.
            trunk_weights: Those of timm's 'hub', or of a local file, a state dict with timm's names; random ones
                without it.
            weights: Local file that 'python -m suite convert fakestormer' wrote.
            size: Side of the image that the network sees.
            frames: Frames of a clip.
            drop_path: Probability that the last block is passed over in training; it rises from 0 at the first.
            hidden: Probability that the most vulnerable patches of a clip are hidden in training.
            heat: Weight of the squared error of the heat map.
            label: Weight of the cross-entropy of the clip.
            temporal: Weight of the cross-entropy of its frames.
            compat: Read-outs as in released code. Weights and checkpoints bring their own with them.
            freeze_epochs: First epochs, in which the backbone's parameters stay as they are.
            framing: Part of a prepared crop that is shown; a synthesis takes it, too.
            score_pooling: See Method; logits are what the authors take.
            **kwargs: See Method.
        """
        super().__init__(score_pooling=score_pooling, **kwargs)
        if frames < 2:
            raise UserError(f"frames {frames}: must be 2 or more")
        self.network = StormNetwork(
            backbone, trunk_weights if weights is None else None, size, frames, drop_path, compat
        )
        if weights is not None:
            released = read_released(weights)
            ours = {"backbone": backbone.partition(".")[0], "size": size, "frames": frames}
            check_network(released, ours, weights)
            fill(self.network, released.state, weights)
            self.protocol, self.is_trained = released.protocol, True
        if self.network.compat:  # no pass goes through it
            self.network.backbone.temp_token.requires_grad_(False)
        self.size, self.framing, self.hidden, self.freeze_epochs = size, framing, hidden, freeze_epochs
        self.weight = {"heat": heat, "label": label, "temporal": temporal}
        self.targets: StormTargets | None = None  # of the last batch of training

    def on_fit_start(self) -> None:
        super().on_fit_start()
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, FaceData):
            return
        if not isinstance(data.synthesis, ClipSelfBlend) or data.true_fakes or data.augment is not None:
            raise UserError(
                "FakeSTormer: learns from the soft edge of blended clips alone; give data.synthesis "
                "datamodules.synthesis.clip_self_blend.ClipSelfBlend, without augment and true_fakes"
            )

    def on_after_backward(self) -> None:
        # requires_grad would have to change during training, which DDP does not follow
        if self.current_epoch < self.freeze_epochs:
            for parameter in self.network.backbone.parameters():
                parameter.grad = None

    def early_layers(self) -> list[nn.Module]:
        return []

    def predict(self, batch: Batch) -> Prediction:
        if not self.training:
            return self(batch.frames, batch.framed)
        assert batch.boundary is not None
        if not self.is_second_pass or self.targets is None:  # that of sharpness-aware minimization has the same batch
            self.targets = encode(batch.boundary, self.network.backbone.grid, self.hidden, self.draws())
        return self(hide(batch.frames, self.targets.kept), batch.framed)

    def forward(self, frames: Tensor, framed: bool = False) -> StormPrediction:
        """
        Args:
            frames: (B, T, 3, H, W).
            framed: Whether they are no prepared crops any more, but what is left of them.
        """
        b, t, _, h, w = frames.shape
        if t != self.network.frames:
            raise UserError(
                f"FakeSTormer: needs clips of {self.network.frames} frames, not {t}; set 'frame_source: videos' and "
                f"'clip: {self.network.frames}'"
            )
        framing = WHOLE if framed else self.framing
        images = fit(framing.show(frames.flatten(0, 1), (h, w)), self.size)
        heads = self.network(images.unflatten(0, (b, t)))
        if self.training:
            return StormPrediction(logit=heads.label, heads=heads)
        change = torch.cat([heads.heat[:, 1:2], heads.heat[:, 1:]], 1)  # the first frame has none before it
        mask = framing.enlarge(change.float().flatten(0, 1)[:, None], (h, w))
        return StormPrediction(logit=heads.label, mask_logit=mask.view(b, t, 1, h, w))

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(prediction, StormPrediction)
        heads, targets = prediction.heads, self.targets
        assert heads is not None
        assert targets is not None
        kept = targets.kept[:, None]
        losses = {
            "heat": F.mse_loss(heads.heat.float() * kept, targets.heat * kept),
            "label": self.label_loss(prediction.logit / TEMPERATURE, batch),
            "temporal": F.binary_cross_entropy_with_logits(heads.temporal.float(), targets.temporal),
        }
        return {name: self.weight[name] * loss for name, loss in losses.items()}
