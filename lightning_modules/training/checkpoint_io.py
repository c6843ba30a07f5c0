"""Checkpoints that are whole or absent, and that hold no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError
from lightning_modules.fitted_values import check_fixed
from lightning_modules.weights import read_checkpoint


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and replaces it at the end; reads tensors and plain values only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with write_atomically(Path(path)) as part, part.open("wb") as f:
            torch.save(checkpoint, f)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        content = read_checkpoint(Path(path), map_location or "cpu")
        state = content["state_dict"]
        if "video_temperature" in state:
            raise UserError(f"{path}: is of an older version, which calibrated otherwise; train again")
        check_fixed(state, Path(path))
        return content
