"""What happens to a batch on its device: forgeries are made of real faces, and faces are augmented."""

from __future__ import annotations

import time
from dataclasses import replace
from zlib import crc32

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from datamodules.annotation.annotated_faces import AnnotatedFaces
from datamodules.augment.augment import Augment
from datamodules.batch import BLENDED, Batch
from datamodules.synthesis.base import Synthesis, seed_draws
from datamodules.synthesis.true_fakes import mix, names_of


class ChangesBatches(LightningDataModule):
    """Every draw depends on an address alone, so that a resumed run goes on as it would have."""

    seed: int
    synthesis: Synthesis | None
    augment: Augment | None
    true_fakes: float
    val_augmented: float
    annotated_faces: AnnotatedFaces | None
    arrived = 0.0  # when the last batch came from the workers

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        self.arrived = time.perf_counter()
        if self.synthesis is not None and self.trainer and (self.trainer.training or self.trainer.validating):
            self.synthesis.check(batch, may_be_forged=bool(self.true_fakes))
        return batch

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device, non_blocking=True)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        batch = batch.scale()
        if self.trainer is not None and self.trainer.training:
            # counted in batches, not optimizer steps: those of one accumulated step must differ
            step = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
            seed = self.seed_of(self.trainer.current_epoch, step, self.trainer.global_rank)
            if self.annotated_faces is not None:
                batch = self.annotated_faces.append_to(batch, seed)
            with seed_draws(seed):
                return self.change_batch(batch)
        if self.trainer is not None and self.trainer.validating:
            return self.augment_some(self.forge(batch))
        return batch

    def seed_of(self, *address: int) -> int:
        # SeedSequence mixes its words: neighbouring addresses share nothing
        return int(np.random.SeedSequence([self.seed, *address]).generate_state(1, np.uint64)[0])

    def change_batch(self, batch: Batch) -> Batch:
        """What training sees of a batch."""
        if self.synthesis is not None:
            batch = mix(self.synthesis.train(), batch)
        if self.augment is None:
            return batch
        batch.boundary = None  # what is moved is the mask
        return self.augment(batch)

    def forge(self, batch: Batch) -> Batch:
        """The forgeries of validation: of each frame the same, in every epoch and on every rank."""
        if self.synthesis is None:
            return batch
        seeds = [self.seed_of(crc32(name.encode())) for name in names_of(batch)]
        return mix(self.synthesis.eval(), batch, seeds, only_some=False)

    def augment_some(self, batch: Batch) -> Batch:
        """Always the same faces of validation in the same way, whatever they share a batch with; a forgery that was
        made here as its real face."""
        if self.augment is None or not self.val_augmented:
            return batch
        batch = replace(batch.map(Tensor.clone), boundary=None)
        for i, name in enumerate(names_of(batch)):
            with seed_draws(self.seed_of(1, crc32(name.replace(BLENDED, "").encode()))):
                if float(torch.rand(())) >= self.val_augmented:
                    continue
                changed = self.augment(batch.rows(torch.tensor([i])))
            for before, after in (
                (batch.frames, changed.frames),
                (batch.mask, changed.mask),
                (batch.landmarks, changed.landmarks),
            ):
                before[i] = after[0]
        return batch
