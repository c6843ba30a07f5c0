"""Some faces of a split, spread over all there are and always the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import Batch, collate
from datamodules.face_data import FaceData
from datamodules.loading.sampling import Address, EvalSampler, Faces
from datamodules.spacing import space_evenly


def spread_batches(data: FaceData, split: str, count: int, most_bytes: int) -> list[Batch]:
    """As they come from a loader, as many real as fake ones where there are both.

    Args:
        split: Training or validation; their synthesis gets what it needs.
        count: Clips, at most.
        most_bytes: Largest size of all pixels together.
    """
    clips = data.clips(split)
    faces = clips.faces(1)
    found = [np.flatnonzero((faces.label == label) & (faces.size > 0)) for label in (0, 1)]
    classes = [one for one in found if len(one)]
    if not classes:
        return []
    count = min(count, most_bytes // (3 * data.clip * data.image_size**2))
    each = max(1, count // (len(classes) if data.synthesis is None else 2))  # a synthesis adds a fake to each
    several = max(-(-each // len(one)) for one in classes)
    faces = faces if several == 1 else clips.faces(several)
    addresses = [address for one in classes for address in spread(faces, one, each)]
    # that of a loader, which adds what the synthesis blends in
    dataset: Any = data.loader(clips, EvalSampler(faces, several), data.synthesis).dataset
    parts = [addresses[i : i + data.batch_size] for i in range(0, len(addresses), data.batch_size)]
    return [collate(dataset.__getitems__(part)) for part in parts]


def spread(faces: Faces, among: NDArray[np.int64], count: int) -> list[Address]:
    """
    Args:
        among: Faces that may be taken; several clips of each where they are fewer than wanted.
    """
    chosen = among[space_evenly(len(among), count)]
    clips = [(int(face), start) for face in chosen for start in faces.starts(int(face))]
    kept = [clips[i] for i in space_evenly(len(clips), count)]
    return [Address(face, faces.clip(int(start))) for face, start in kept]
