"""Images of faces with their true and predicted masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from callbacks.gallery import Gallery
from datamodules.batch import Batch
from datamodules.runtime.atomic_files import write_atomically
from lightning_modules.base import Outcome

Image = NDArray[np.uint8]
TILE = 128


def tile(image: Tensor) -> Image:
    """(3, H, W) in [0, 1] to a (TILE, TILE, 3) image."""
    pixels = (image.detach().float().clamp(0, 1) * 255).byte().permute(1, 2, 0).cpu().numpy()
    out: Image = cv2.resize(pixels, (TILE, TILE), interpolation=cv2.INTER_AREA)
    return out


def outline(face: Image, mask: Tensor) -> Image:
    """The face with the border of a (H, W) mask in green."""
    region = cv2.resize((mask > 0.5).byte().cpu().numpy(), (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    borders, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    out: Image = cv2.drawContours(face.copy(), borders, -1, (60, 255, 60), 1)
    return out


def overlay_heat(face: Image, probability: Tensor) -> Image:
    """The face under a (H, W) map of forgery."""
    grey = (cv2.resize(probability.detach().float().cpu().numpy(), (TILE, TILE)) * 255).clip(0, 255).astype(np.uint8)
    return overlay(face, grey)


def overlay(face: Image, grey: Image) -> Image:
    """The face under a map of its size, 255 where it is hottest."""
    heat = cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)[..., ::-1]
    return (0.45 * face + 0.55 * heat).astype(np.uint8)


def label(column: Image, text: str) -> Image:
    strip = np.full((18, TILE, 3), 255, np.uint8)
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.38, 1)
    size = 0.38 * min(1.0, (TILE - 4) / width)  # a long name is small, never cut
    cv2.putText(strip, text, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, column])


class Panels(Gallery[Image]):
    """Writes panels/<split>.png into the run: faces of each manipulation, their true masks, the
    predicted ones, and what was recovered of them."""

    def __init__(self, faces_per_method: int = 2, max_methods: int = 10) -> None:
        """
        Args:
            faces_per_method: Per manipulation.
            max_methods: Manipulations at the most, the reals counted in.
        """
        super().__init__(faces_per_method, max_methods)

    def item(self, outcome: Outcome, batch: Batch, i: int, kind: str) -> Image:
        face = tile(batch.frames[i, 0])
        rows = [face, outline(face, batch.mask[i, 0, 0])]
        if outcome.prediction.mask_logit is not None:
            rows.append(overlay_heat(face, outcome.prediction.mask_logit[i, 0, 0].sigmoid()))
        if outcome.prediction.recovered is not None:
            rows.append(tile(outcome.prediction.recovered[i, 0]))
        return label(np.vstack(rows), f"{kind} {float(outcome.score[i]):.2f}")

    def write(self, trainer: Trainer, split: str, kept: dict[str, dict[str, Image]]) -> None:
        reals_first = sorted(kept, key=lambda kind: (kind != "real", kind))
        panel = np.hstack([column for kind in reals_first for column in kept[kind].values()])
        ok, content = cv2.imencode(".png", panel[..., ::-1])
        with write_atomically(Path(trainer.default_root_dir) / "panels" / f"{split}.png") as part:
            part.write_bytes(content.tobytes() if ok else b"")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(f"{split}/panels", [panel])
