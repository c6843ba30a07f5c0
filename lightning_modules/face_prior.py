"""Masks that look at nothing but region the face is: what any localizer must beat."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.faces.landmarks.points import BROWS, JAW, LEFT_BROW, LEFT_EYE, MOUTH, NOSE, RIGHT_BROW, RIGHT_EYE
from datamodules.runtime.errors import UserError
from datamodules.synthesis.hull import fill
from lightning_modules.base import Method, Prediction
from lightning_modules.needed_landmarks import require_landmarks

HULLS = {"face": [[*JAW, *BROWS]], "features": [[*LEFT_BROW, *LEFT_EYE], [*RIGHT_BROW, *RIGHT_EYE], [*NOSE], [*MOUTH]]}
SURE = 4.0  # logit inside


class FacePrior(Method):
    """Scores every face alike and points at the same part of each; has nothing to train."""

    is_trained = True
    fixes_thresholds = False

    def __init__(self, region: Literal["everywhere", "face", "features"] = "face", **kwargs: Any) -> None:
        """
        Args:
            region: Region called forged: all pixels; the face within jaw and brows; or eyes with brows, nose and mouth.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        self.region = region

    @property
    def needs_landmarks(self) -> bool:  # type: ignore[override]
        return self.region != "everywhere"

    def setup(self, stage: str) -> None:
        if stage == "fit":
            raise UserError("FacePrior: has nothing to fit; run 'test'")

    def predict(self, batch: Batch) -> Prediction:
        out = self(batch.frames)
        if self.needs_landmarks:
            points = require_landmarks(batch).flatten(0, 1)
            height, width = batch.frames.shape[-2:]
            inside = torch.stack([fill(points[:, hull], height, width) for hull in HULLS[self.region]]).any(0)
            out.mask_logit = (SURE * (2 * inside.float() - 1)).view_as(out.mask_logit)
        return out

    def forward(self, frames: Tensor) -> Prediction:
        b = len(frames)
        return Prediction(logit=frames.new_zeros(b), mask_logit=torch.full_like(frames[:, :, :1], SURE))

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        raise UserError("FacePrior: has nothing to fit")
