"""Maps beside somebody else's scores, measured against the true masks of the same crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.face_data import FaceData
from datamodules.loading.sampling import Address
from datamodules.manifest import Video
from datamodules.media.image import decode
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import shorten
from lightning_modules.foreign_detector import LEAST
from lightning_modules.metrics.pixel import histogram
from suite.import_scores.scores import ForeignScore

FORMATS = (".png", ".npy")


@dataclass(frozen=True, kw_only=True)
class MapCounts:
    """What a table of predictions has of a map.

    Args:
        frame_label: Whether the frame is forged, of a video that is forged in parts.
    """

    has_mask: bool
    frame_label: int
    forged: list[int]
    other: list[int]


class TrueMasks:
    """Of the crops of the test videos that 'prepare' cut, at the side that --data.image_size asks for."""

    def __init__(self, data: FaceData) -> None:
        if data.frame_source != "crops" or data.clip != 1:
            raise UserError("map: maps are of single prepared crops; leave out --data.frame_source and --data.clip")
        self.clips, self.prepared = data.clips("test"), data.prepared
        self.faces = {owner: i for i, owner in enumerate(self.clips.known.owners())}

    def count(self, one: ForeignScore, row: Video, where: str, folder: Path) -> MapCounts:
        """
        Args:
            where: Names the line.
            folder: That its paths are relative to.
        """
        face = self.faces.get((row.key, one.track))
        if face is None or one.frame not in self.clips.known.frames(face):
            crop = f"{row.path}, track {one.track}, frame {one.frame}"
            raise UserError(f"{where}: map {one.map}: {crop} has no crop in {self.prepared}; must be of one")
        sample = self.clips[Address(face, (one.frame,))]
        side = tuple(sample.frames.shape[-2:])
        cells = torch.from_numpy(read_map(folder / one.map, where)).clamp(LEAST, 1 - LEAST).logit().float()
        logit = F.interpolate(cells[None, None], side, mode="bilinear", align_corners=False)  # as of a callable
        known = sample.mask is not None
        mask = (sample.mask if sample.mask is not None else torch.zeros_like(sample.frames[:, :1])) > 127
        return MapCounts(
            has_mask=known,
            frame_label=sample.label,
            forged=count_bins(logit, mask if known else torch.zeros_like(mask)),
            other=count_bins(logit, ~mask if known else torch.zeros_like(mask)),
        )


def count_bins(logit: Tensor, chosen: Tensor) -> list[int]:
    found: list[int] = histogram(logit.flatten(1), chosen.flatten(1))[0].tolist()
    return found


def read_map(path: Path, where: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(H, W) probabilities."""
    rule = "must be a grey PNG, black for 0 and white for 1, or an NPY array (height, width) of numbers from 0 to 1"
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{where}: map {path}: {rule}")
    try:
        if path.suffix.lower() == ".png":
            return decode(path.read_bytes(), grey=True).astype(np.float64) / 255
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{where}: map {path}: cannot be read ({shorten(error)}); {rule}") from error
    if found.ndim != 2 or found.dtype.kind not in "fiub" or not found.size:
        raise UserError(f"{where}: map {path}: of shape {found.shape}, {found.dtype}; {rule}")
    wrong = found[~((found >= 0) & (found <= 1))]
    if wrong.size:
        raise UserError(f"{where}: map {path}: holds {float(wrong[0]):g}; {rule}")
    return found.astype(np.float64)
