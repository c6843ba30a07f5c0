"""Faces with the masks that were granted, some of which join every batch of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from datamodules.annotation.oracle import MaskOracle
from datamodules.batch import Batch, Sample, collate


class Granted:
    """What an oracle has given so far."""

    def __init__(self, oracle: MaskOracle, each: int) -> None:
        """
        Args:
            each: Of them in every batch, drawn with replacement.
        """
        self.oracle, self.each = oracle, each
        self.faces: Batch | None = None
        self.about: dict[str, Any] = {}

    def ask(self, samples: Sequence[Sample], about: dict[str, Any]) -> None:
        """
        Args:
            about: What a report should say of it.
        """
        self.faces = collate(self.oracle.request(samples))
        self.about = {**about, "masks": len(self.oracle.asked), "budget": self.oracle.budget}

    def joined(self, batch: Batch, seed: int) -> Batch:
        """The batch, and behind it some faces that count for nothing but their masks.

        Args:
            batch: On its device, with frames and masks in [0, 1].
        """
        if self.faces is None:
            return batch
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.faces), (self.each,), generator=generator)
        more = self.faces.rows(rows).to(batch.frames.device)
        more.frames, more.mask = more.frames.float().div_(255), more.mask.float().div_(255)
        more.counts = torch.zeros_like(more.counts)
        names = ("frames", "label", "mask", "has_mask", "landmarks", "has_landmarks", "track", "numbers", "counts")
        both = {name: torch.cat([getattr(batch, name), getattr(more, name)]) for name in names}
        video, people = batch.video + more.video, batch.people + more.people
        return replace(batch, video=video, people=people, **both)
