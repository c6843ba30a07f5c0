"""Faces with the masks that were granted, some of which join every batch of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from datamodules.annotation.oracle import MaskOracle
from datamodules.annotation.request import Choice, RequestedFace
from datamodules.batch import Batch, Sample, collate, join
from datamodules.loading.clips import Clips
from datamodules.loading.sampling import Address
from datamodules.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class AskedMasks:
    """The masks that a training has asked for, as checkpoints and reports know of them.

    Args:
        choice: None before there were any.
    """

    masks: int
    budget: int
    faces: list[RequestedFace]
    choice: Choice | None

    def to_json(self) -> dict[str, Any]:
        about = {} if self.choice is None else asdict(self.choice)
        return {**about, "masks": self.masks, "budget": self.budget, "faces": [list(face) for face in self.faces]}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> AskedMasks:
        return cls(
            masks=state["masks"],
            budget=state["budget"],
            faces=[RequestedFace(*face) for face in state.get("faces", ())],  # which a table of predictions lacks
            choice=Choice.from_json(state) if "strategy" in state else None,
        )


class AnnotatedFaces:
    """What an oracle has given so far."""

    def __init__(self, oracle: MaskOracle, each: int) -> None:
        """
        Args:
            each: Number of annotated faces in every batch, drawn with replacement.
        """
        self.oracle, self.each = oracle, each
        self.faces: Batch | None = None
        self.choice: Choice | None = None

    def ask(self, samples: Sequence[Sample], choice: Choice) -> None:
        """
        Args:
            choice: How they were chosen, for the report.
        """
        self.faces, self.choice = collate(self.oracle.request(samples)), choice

    def state(self) -> AskedMasks:
        """For checkpoints and reports: an interrupted training has asked for no fewer than before."""
        asked = sorted(self.oracle.asked)
        return AskedMasks(masks=len(asked), budget=self.oracle.budget, faces=asked, choice=self.choice)

    def remember(self, state: AskedMasks) -> None:
        self.oracle.asked |= set(state.faces)

    def append_to(self, batch: Batch, seed: int) -> Batch:
        """The batch, and behind it some faces that count for nothing but their masks.

        Args:
            batch: On its device, with frames and masks in [0, 1].
        """
        if self.faces is None:
            return batch
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.faces), (self.each,), generator=generator)
        more = self.faces.rows(rows).to(batch.frames.device).scale()
        more.is_counted = torch.zeros_like(more.is_counted)
        return join([batch, more])


def find_samples(clips: Clips, faces: Sequence[RequestedFace]) -> list[Sample]:
    """Faces by their names, each of which must be there."""
    place = {owner: i for i, owner in enumerate(clips.known.owners())}
    out = []
    for face in faces:
        i = place.get((face.video, face.track))
        if i is None or face.frame not in clips.known.frames(i):
            raise UserError(f"{face.video}, face {face.track}, frame {face.frame}: is not among the faces of training")
        out.append(clips[Address(i, (face.frame,))])
    return out
