"""The baselines: a timm backbone with one logit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.errors import Refused
from datamodules.synthesis.framing import WHOLE, Framing
from lightning_modules import backbones
from lightning_modules.base import Method, Prediction
from lightning_modules.last_layer import in_float32
from lightning_modules.weights import read

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


class Classifier(Method):
    """Scores each frame alone; a clip scores as the mean of its logits."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = "tf_efficientnet_b4",
        pretrained: bool = False,
        weights: Path | None = None,
        only_norms: bool = False,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        framing: Framing = WHOLE,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            backbone: Name of a timm model.
            pretrained: Fetch timm's weights from its hub.
            weights: Local file of backbone weights, instead.
            only_norms: Tune the normalization layers and the head, nothing else.
            mean: Of each channel, subtracted from pixels in [0, 1]; that of timm's weights without it.
            std: Of each channel, which then divides; that of timm's weights without it.
            framing: What of a prepared crop is shown; a synthesis takes it, too.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        backbones.check("backbone", backbone)
        if pretrained:
            backbones.check_activation("backbone", backbone)
        net: Any = timm.create_model(backbone, pretrained=pretrained, num_classes=1)
        for head in heads(net):
            in_float32(head)
        if weights is not None:
            load(net, weights)
        if only_norms:
            net.requires_grad_(False)
            for module in net.modules():
                if isinstance(module, NORMS):
                    module.requires_grad_(True)
            for head in heads(net):
                head.requires_grad_(True)
        self.net, self.framing = net, framing
        for name, given in (("mean", mean), ("std", std)):
            values = net.pretrained_cfg[name] if given is None else given
            if len(values) != 3 or (name == "std" and min(values) <= 0):
                raise Refused(f"{name} {given}: must be three numbers{', above 0' if name == 'std' else ''}")
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def predicted(self, batch: Batch) -> Prediction:
        return self(batch.frames, batch.framed)

    def forward(self, frames: Tensor, framed: bool = False) -> Prediction:
        """
        Args:
            frames: (B, T, 3, H, W).
            framed: Whether they are no prepared crops any more, but what is left of them.
        """
        images = frames.flatten(0, 1)
        if not framed:
            h, w = images.shape[-2:]
            images = self.framing.show(images, (h, w))
        images = (images - self.mean) / self.std  # (B*T, 3, H, W)
        return Prediction(logit=self.net(images).view(frames.shape[:2]).mean(1))

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        return {"label": self.label_loss(prediction.logit, batch)}


def heads(net: Any) -> tuple[nn.Module, ...]:
    """The last layer, or both of a distilled network."""
    found = net.get_classifier()
    return found if isinstance(found, tuple) else (found,)


def load(net: Any, path: Path) -> None:
    """Loads a state dict whose head may have other classes; every other key must fit."""
    state, own = read(path), net.state_dict()
    head = {name for name in state if name in own and state[name].shape != own[name].shape}
    result = net.load_state_dict({k: v for k, v in state.items() if k not in head}, strict=False)
    classifier = {f"{net.default_cfg['classifier']}.{kind}" for kind in ("weight", "bias")}
    wrong = sorted((set(result.missing_keys) | head) - classifier) + sorted(result.unexpected_keys)
    if wrong:
        raise Refused(f"weights {path}: {len(wrong)} keys do not fit, the first is {wrong[0]!r}")
