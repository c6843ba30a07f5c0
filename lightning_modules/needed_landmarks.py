"""Landmarks for methods that cannot do without."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError


def require_landmarks(batch: Batch) -> Tensor:
    """(B, T, 68, 2), or the video that was prepared without."""
    if not torch.compiler.is_exporting() and not batch.has_landmarks.all():  # on the CPU, nothing waits
        name = batch.video[batch.has_landmarks.tolist().index(False)]
        raise UserError(f"{name}: was prepared without landmarks, which this method needs")
    return batch.landmarks
