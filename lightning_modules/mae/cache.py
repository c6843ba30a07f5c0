"""What the generator, which does not learn any more, made of each face of training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError

Made = tuple[Tensor, ...]


class ReconstructionCache:
    """In half precision, in memory; for stored faces that are shown as they are, one at a time."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int, int], Made] = {}

    @staticmethod
    def check(data: object) -> None:
        if isinstance(data, FaceData) and (data.augment or data.synthesis or data.clip > 1):
            raise UserError("cache: of stored faces alone; set it to false, or do without augment, synthesis and clips")

    def get_or_make(self, batch: Batch, make: Callable[[Batch], Made]) -> Made:
        """Each (B, ...), made now for the faces that are new."""
        tracks, numbers = batch.track.tolist(), batch.numbers[:, 0].tolist()
        names = list(zip(batch.video, tracks, numbers, strict=True))
        if new := [i for i, name in enumerate(names) if name not in self.known]:
            made = [each.half().cpu() for each in make(batch.rows(torch.tensor(new)))]
            self.known.update(zip([names[i] for i in new], zip(*made, strict=True), strict=True))
        # autocast refuses to stack halves
        found = zip(*([each.to(batch.frames) for each in self.known[name]] for name in names), strict=True)
        return tuple(map(torch.stack, found))
