"""A video of clips as a method sees them: frames, their motion, predicted and true masks side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor

from callbacks.gallery import Gallery
from callbacks.panels import Image, label, outline, overlay_heat, tile
from datamodules.batch import Batch
from datamodules.media.encode import write_h264
from lightning_modules.base import Outcome, Prediction

FPS = 4  # so slow that motion from frame to frame can be seen


def colour_motion(motion: Tensor, most: float) -> Image:
    """(2, H, W) as colour: the hue says where to, the brightness how far, up to ``most``."""
    x, y = motion.detach().float().cpu().numpy()
    far, angle = cv2.cartToPolar(x, y, angleInDegrees=True)
    hsv = np.stack([angle / 2, np.full_like(far, 200), (255 * far / max(most, 1e-6)).clip(0, 255)], -1)
    image = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    return tile(torch.from_numpy(image).permute(2, 0, 1) / 255)


def render_clip(prediction: Prediction, batch: Batch, i: int, text: str) -> Iterator[Image]:
    """The images of one clip: as many as there is everything for."""
    mask, motion = prediction.mask_logit, prediction.motion
    most = 0.0 if motion is None else float(motion[i, :, :2].norm(dim=1).max())
    for t in range(min(part.shape[1] for part in (batch.frames, mask, motion) if part is not None)):
        face = tile(batch.frames[i, t])
        parts = {text: face}
        if motion is not None:
            parts["motion"] = colour_motion(motion[i, t, :2], most)
        if mask is not None:
            parts["predicted"] = overlay_heat(face, mask[i, t, 0].sigmoid())
        parts["true"] = outline(face, batch.mask[i, t, 0]) if batch.has_mask[i] else face
        yield np.hstack([label(part, name) for name, part in parts.items()])


class ClipVideo(Gallery[list[Image]]):
    """Writes panels/<split>.mp4 into the run of a method that sees clips."""

    def __init__(self, clips_per_method: int = 2, max_methods: int = 10) -> None:
        """
        Args:
            clips_per_method: Per manipulation.
            max_methods: Manipulations at the most, the reals counted in.
        """
        super().__init__(clips_per_method, max_methods)

    def is_wanted(self, outcome: Outcome, batch: Batch) -> bool:
        return batch.frames.shape[1] > 1

    def item(self, outcome: Outcome, batch: Batch, i: int, kind: str) -> list[Image]:
        return list(render_clip(outcome.prediction, batch, i, f"{kind[:14]} {float(outcome.score[i]):.2f}"))

    def write(self, trainer: Trainer, split: str, kept: dict[str, dict[str, list[Image]]]) -> None:
        images = [image for clips in kept.values() for clip in clips.values() for image in clip]
        write_h264(Path(trainer.default_root_dir) / "panels" / f"{split}.mp4", images, FPS, 18)
