"""What makes a resumed run go on as if it had never stopped."""

from __future__ import annotations

import os

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class EpochSeed(Callback):
    """Draws of the network itself, such as dropout, start from (seed, epoch, rank) in every epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        address = np.random.SeedSequence([seed, trainer.current_epoch, trainer.global_rank, 1])
        torch.manual_seed(int(address.generate_state(1, np.uint64)[0]))
