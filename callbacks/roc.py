"""The ROC curve of a test, for Weights & Biases to lay over those of other runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import WandbLogger

from lightning_modules.base import Method
from lightning_modules.metrics import bootstrap, functional

POINTS = 500  # at most: the panel draws no more
PRESET = "wandb/area-under-curve/v0"


class RocCurve(Callback):
    """Logs test/roc, over videos. After PredictionTable, whose table of all ranks it reads."""

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        if not loggers or not trainer.is_global_zero:
            return
        import wandb  # a second that only those pay who log there

        assert isinstance(pl_module, Method)
        wanted = ["video", "frame", "score", "label", "method"]
        table = pq.read_table(Path(trainer.default_root_dir) / "predictions.parquet", columns=wanted)
        columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
        v = bootstrap.videos(columns, columns["method"].astype(str), pl_module.score_pooling)
        if len(set(v.label.tolist())) < 2:
            return
        fpr, tpr = functional.roc(torch.from_numpy(v.score), torch.from_numpy(v.label))
        some = np.unique(np.linspace(0, len(fpr) - 1, min(POINTS, len(fpr))).round().astype(int))
        points = wandb.Table(columns=["fpr", "tpr"], data=torch.stack([fpr, tpr], 1)[some].tolist())
        for logger in loggers:
            logger.experiment.log(
                {"test/roc": wandb.plot_table(PRESET, points, {"x": "fpr", "y": "tpr"}, {"title": "ROC"})}
            )
