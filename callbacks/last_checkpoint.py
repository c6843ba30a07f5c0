"""The checkpoint of the last epoch, from which a training goes on."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.rank_zero import rank_zero_info


class LastCheckpoint(ModelCheckpoint):
    """Of the last whole epoch, validated or not: nothing can go on from one that was half done."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: Where last.ckpt is written.
        """
        # Lightning's own save_last keeps the last one that was the best
        super().__init__(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            super().on_train_epoch_end(trainer, pl_module)
        elif not trainer.fast_dev_run:  # type: ignore[attr-defined]
            path = Path(self.dirpath or "", f"{self.filename}{self.FILE_EXTENSION}")
            what = "stays that of the epoch before" if path.is_file() else "is not written"
            rank_zero_info(f"{path}: {what}: training was stopped within epoch {trainer.current_epoch}")
