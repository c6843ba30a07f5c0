"""Pictures of faces with their true and predicted masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from datamodules.atomic import appearing
from datamodules.batch import Batch
from datamodules.synthesis.base import BLENDED
from lightning_modules.base import Outcome

Picture = NDArray[np.uint8]
TILE = 128


def tile(image: Tensor) -> Picture:
    """(3, H, W) in [0, 1] to a (TILE, TILE, 3) picture."""
    picture = (image.detach().float().clamp(0, 1) * 255).byte().permute(1, 2, 0).cpu().numpy()
    out: Picture = cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA)
    return out


def outlined(face: Picture, mask: Tensor) -> Picture:
    """The face with the border of a (H, W) mask in green."""
    region = cv2.resize((mask > 0.5).byte().cpu().numpy(), (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    borders, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    out: Picture = cv2.drawContours(face.copy(), borders, -1, (60, 255, 60), 1)
    return out


def heated(face: Picture, probability: Tensor) -> Picture:
    """The face under a (H, W) map of forgery."""
    grey = (cv2.resize(probability.detach().float().cpu().numpy(), (TILE, TILE)) * 255).clip(0, 255).astype(np.uint8)
    heat = cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)[..., ::-1]
    return (0.45 * face + 0.55 * heat).astype(np.uint8)


def labelled(column: Picture, text: str) -> Picture:
    strip = np.full((18, TILE, 3), 255, np.uint8)
    cv2.putText(strip, text, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, column])


def kind_of(key: str) -> str:
    """The manipulation that a video's key names."""
    return "blended" if key.endswith(BLENDED) else key.split("/")[1]


class Panels(Callback):
    """Writes panels/<split>.png into the run: faces of each manipulation, their true masks, the predicted ones."""

    def __init__(self, faces: int = 2, kinds: int = 10) -> None:
        """
        Args:
            faces: Per manipulation.
            kinds: Manipulations at the most, the reals counted in.
        """
        self.faces, self.kinds = faces, kinds
        self.columns: dict[str, list[tuple[str, Picture]]] = {}

    def collect(self, outcome: Outcome, batch: Batch) -> None:
        for i, key in enumerate(batch.video):
            method = kind_of(key)
            kept = self.columns.get(method, [])
            known = len(self.columns) < self.kinds or method in self.columns
            if not known or len(kept) >= self.faces or any(key == video for video, _ in kept):
                continue
            face = tile(batch.frames[i, 0])
            rows = [face, outlined(face, batch.mask[i, 0, 0])]
            if outcome.prediction.mask_logit is not None:
                rows.append(heated(face, outcome.prediction.mask_logit[i, 0, 0].sigmoid()))
            text = f"{method[:12]} {float(outcome.score[i]):.2f}"
            self.columns.setdefault(method, []).append((key, labelled(np.vstack(rows), text)))

    def finish(self, trainer: Trainer, split: str) -> None:
        columns = [
            column for kind in sorted(self.columns, key=lambda k: (k != "real", k)) for _, column in self.columns[kind]
        ]
        self.columns = {}
        if not columns or not trainer.is_global_zero or trainer.sanity_checking or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        panel = np.hstack(columns)
        ok, content = cv2.imencode(".png", panel[..., ::-1])
        with appearing(Path(trainer.default_root_dir) / "panels" / f"{split}.png") as part:
            part.write_bytes(content.tobytes() if ok else b"")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(f"{split}/panels", [panel])

    def on_validation_batch_end(
        self, trainer: Trainer, m: LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        self.collect(outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.finish(trainer, "val")

    def on_test_batch_end(self, trainer: Trainer, m: LightningModule, outputs: Any, batch: Batch, *_: Any) -> None:
        self.collect(outputs, batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.finish(trainer, "test")
