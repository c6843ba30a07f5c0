"""The stage before RFFR and Delocate: a masked autoencoder learns to recover real faces, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import CatMetric, MeanMetric

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from lightning_modules.base import Method, Outcome, Prediction
from lightning_modules.mae.masking import Blocks, Masking
from lightning_modules.mae.network import MAE
from lightning_modules.mae.reconstruction import LARGE, error_of, reconstruct, suspicion, to_logit
from lightning_modules.needed_landmarks import require_landmarks
from lightning_modules.weights import fill, read


@dataclass(kw_only=True)
class Recovered(Prediction):
    """Errors of the hidden patches."""

    squared: Tensor  # (B,) mean of their values
    absolute: Tensor  # (B,)


class Recover(Method):
    """Scores a face by how badly its hidden parts are recovered, without ever having learnt from a forgery.

    With 'methods: []' training and validation see real faces alone; testing sees all.
    """

    monitor = ("val/recovery", "min")
    fixes_thresholds = False
    real_error: Tensor

    def __init__(
        self, generator: MAE | None = None, weights: Path | None = None, masking: Masking | None = None, **kwargs: Any
    ) -> None:
        """
        Args:
            generator: The masked autoencoder, of the published size without it.
            weights: To start from: a checkpoint of Recover, or what 'python -m suite convert mae' wrote. MAE's own
                weights saw pixels that were normalized, and are no more than a start.
            masking: Patches that are hidden; RFFR's blocks if unset.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        self.generator, self.masking = generator or MAE(), masking or Blocks()
        self.weights, self.is_trained = weights, weights is not None
        self.register_buffer("real_error", torch.tensor(float("nan")))  # median of validation, which Delocate reads
        # a generator that gives no number for some faces must not be kept as the best
        metrics = {"squared": MeanMetric(nan_strategy="error"), "absolute": CatMetric(nan_strategy="error")}
        self.of_reals = nn.ModuleDict(metrics)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self.weights is not None and not self.trainer.ckpt_path:
            self.real_error.fill_(generator_of(self.weights, self.generator))

    def training_parameters(self) -> list[dict[str, Any]]:
        """Biases and norms do not decay."""
        every = [p for p in self.parameters() if p.requires_grad]
        flat = {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0}
        return [{"params": [p for p in every if p.ndim >= 2]}, flat]

    @property
    def needs_landmarks(self) -> bool:  # type: ignore[override]
        return self.masking.needs_landmarks

    def predict(self, batch: Batch) -> Prediction:
        frames, t = batch.frames.flatten(0, 1), batch.frames.shape[1]
        landmarks = require_landmarks(batch) if self.needs_landmarks else batch.landmarks
        points, side = landmarks.flatten(0, 1) / self.generator.patch, self.generator.side
        return self.trained_on(frames, points, side) if self.training else self.tested_on(frames, points, side, t)

    def forward(self, frames: Tensor) -> Prediction:
        """Of faces whose landmarks are not needed."""
        if self.needs_landmarks:
            raise UserError("Recover: what is hidden depends on landmarks")
        points = frames.new_zeros(frames.shape[0] * frames.shape[1], 68, 2)
        return self.tested_on(frames.flatten(0, 1), points, self.generator.side, frames.shape[1])

    def trained_on(self, images: Tensor, points: Tensor, side: int) -> Recovered:
        hidden = self.masking.draw(side, points, self.draws())
        found = self.generator(self.generator.embed(images), hidden)
        true = self.generator.patchify(images).gather(1, hidden[..., None].expand_as(found))
        apart = (found.float() - true).flatten(1)
        absolute = apart.detach().abs().mean(1)
        return Recovered(logit=self.to_logits(absolute), squared=apart.square().mean(1), absolute=absolute)

    def tested_on(self, images: Tensor, points: Tensor, side: int, clip: int) -> Recovered:
        whole, times = reconstruct(self.generator, images, self.masking.passes(side, points))
        absolute, squared = error_of(whole, images, times)

        def clips(frames: Tensor) -> Tensor:
            return frames.unflatten(0, (-1, clip))

        error = clips(absolute).mean(1)
        return Recovered(
            logit=self.to_logits(error),
            mask_logit=clips(suspicion(whole - images, self.generator.patch)),
            recovered=clips(whole),
            squared=clips(squared).mean(1),
            absolute=error,
        )

    def to_logits(self, error: Tensor) -> Tensor:
        """Logits: even at twice the error of a real face."""
        return to_logit(error, (2 * self.real_error).nan_to_num(LARGE))

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(prediction, Recovered)
        return {"recovery": prediction.squared.mean()}

    def validation_step(self, batch: Batch, batch_idx: int) -> Outcome:  # type: ignore[override]
        outcome = self.outcome(batch)
        assert isinstance(outcome.prediction, Recovered)
        reals = batch.is_counted & (batch.label == 0)  # what is chosen here must not have seen a forgery
        for name, metric in self.of_reals.items():
            metric.update(getattr(outcome.prediction, name)[reals])  # type: ignore[operator]
        return outcome

    def on_validation_epoch_end(self) -> None:
        squared, absolute = (metric.compute() for metric in self.of_reals.values())  # type: ignore[operator]
        for metric in self.of_reals.values():
            metric.reset()  # type: ignore[operator]
        self.real_error.copy_(absolute.median())
        self.log("val/recovery", squared, prog_bar=True)
        self.log_dict({"val/psnr": -10 * squared.log10(), "val/real_error": self.real_error})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As validation has found it, as all that it fixes; an average would begin with what is no number."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["state_dict"]["real_error"] = self.real_error.clone()


def generator_of(path: Path, generator: nn.Module) -> float:
    """Fills a generator from a checkpoint of ``Recover`` or a converted file; its error on real faces, where known."""
    content = read(path)
    state: Mapping[str, Tensor] = content.get("state_dict", content)
    own = {name.removeprefix("generator."): value for name, value in state.items() if name.startswith("generator.")}
    fill(generator, own or state, path)
    return float(state.get("real_error", float("nan")))
