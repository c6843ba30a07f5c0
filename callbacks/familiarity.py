"""What the faces of a training look like to its network, so that others can be told from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.spread import spread_batches
from datamodules.synthesis.base import seed_draws
from lightning_modules.base import Method
from lightning_modules.familiarity import Familiarity, fit_familiarity
from lightning_modules.trunks.early_layers import watch

KEY = "familiarity"  # of a checkpoint
MOST_BYTES = 96 * 2**20  # of the pixels of a split


class KnowTraining(Callback):
    """Fits a method's familiarity before each validation, with the weights that are judged there.

    So every checkpoint that is written afterwards knows what its own weights make of the training. All ranks compute
    the same and need not tell each other.
    """

    def __init__(self, faces: int = 256) -> None:
        """
        Args:
            faces: Clips of the training that are kept in mind, and of validation that fix the limit; 0 is without.
        """
        if faces < 0:
            raise UserError(f"faces {faces}: must be at least 0")
        self.faces = faces
        self.batches: dict[str, list[Batch]] = {}  # as they are shown, in bytes

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, Method)
        layers = pl_module.early_layers()
        is_wanted = trainer.state.fn == TrainerFn.FITTING or (
            trainer.state.fn == TrainerFn.VALIDATING and pl_module.familiarity is None  # of an older version
        )
        if not is_wanted or not self.faces or not layers or not isinstance(data, FaceData):
            return
        if not all(one.has("train", data.sees_only_real("train")) for one in data.group.checked_sets):
            return  # a data set that is for validation alone
        if not self.batches:
            # once: what is drawn of an augmentation or a synthesis depends on addresses alone
            if trainer.fast_dev_run:  # type: ignore[attr-defined]  # one batch of everything, here too
                self.faces = min(self.faces, data.batch_size)
            self.batches = {split: self.create_batches(data, split, pl_module.device) for split in ("train", "val")}
        found = {}
        for split, batches in self.batches.items():
            features = [self.features(pl_module, layers, batch) for batch in batches]
            found[split] = torch.cat(features) if features else torch.empty(0, 1)
        label = torch.cat([batch.label for batch in self.batches["train"]])
        pl_module.familiarity = fit_familiarity(found["train"], label, found["val"])

    def create_batches(self, data: FaceData, split: str, device: torch.device) -> list[Batch]:
        """Faces with the forgeries of a synthesis, every second one augmented as in training."""
        out = []
        for i, raw in enumerate(spread_batches(data, split, self.faces, MOST_BYTES)):
            batch = data.forge(data.transfer_batch_to_device(raw, device, 0).scale())
            if data.augment is not None:
                with seed_draws(data.seed_of(len(split), i)):
                    changed = data.augment(replace(batch.map(Tensor.clone), boundary=None))  # it works in place
                is_clean = torch.arange(len(batch), device=device) % 2 == 0
                frames = torch.where(is_clean[:, None, None, None, None], batch.frames, changed.frames)
                points = torch.where(is_clean[:, None, None, None], batch.landmarks, changed.landmarks)
                batch = replace(batch, frames=frames, landmarks=points)
            frames = (255 * batch.frames).round().clamp(0, 255).byte()
            no_mask = torch.zeros_like(frames[:, :, :1, :1, :1])
            out.append(replace(batch, frames=frames, mask=no_mask, boundary=None).to("cpu"))
        return out

    @staticmethod
    def features(method: Method, layers: list[torch.nn.Module], batch: Batch) -> Tensor:
        batch = batch.to(method.device).scale()
        # in full precision, as whoever asks later computes
        with watch(layers, stops=True) as early:
            method.predict(replace(batch, frames=batch.frames.to(method.dtype)))
        return early.features(len(batch)).cpu()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        assert isinstance(pl_module, Method)
        if pl_module.familiarity is not None and not pl_module.is_outdated:
            checkpoint[KEY] = pl_module.familiarity.state()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        assert isinstance(pl_module, Method)
        if KEY in checkpoint:
            source = Path(trainer.ckpt_path) if trainer.ckpt_path else None
            pl_module.familiarity = Familiarity.from_state(checkpoint[KEY], source)
