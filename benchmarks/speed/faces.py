"""Batches of real faces without a prepared folder: the photographs of the studio, cut around their points."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.faces.crop import Square
from datamodules.studio.people import read_people


def cut_faces(count: int, side: int, margin: float = 1.5) -> tuple[Tensor, Tensor]:
    """(N, 3, side, side) in [0, 1] and their (N, 68, 2) points; each person once, then once more."""
    people = read_people()
    frames, points = [], []
    for i in range(count):
        photograph = people[i % len(people)].neutral
        box = np.concatenate([photograph.points.min(0), photograph.points.max(0)]).astype(np.float32)
        square = Square.from_box(box, margin)
        frames.append(torch.from_numpy(square.cut(photograph.read(), side).copy()).permute(2, 0, 1))
        points.append(torch.from_numpy(square.to_crop(photograph.points.astype(np.float32), side)))
    return torch.stack(frames).float() / 255, torch.stack(points)


def disc(side: int) -> Tensor:
    """(side, side) soft mask in [0, 1]."""
    centred = torch.linspace(-1, 1, side)
    return (3 - 5 * torch.hypot(centred[:, None], centred[None])).clamp(0, 1)


def real_batch(count: int, side: int, clip: int = 1, forged: bool = True) -> Batch:
    """Real faces, every second one called forged in its middle; in a clip they drift by a pixel a frame."""
    frames, points = cut_faces(count, side)
    label = torch.arange(count) % 2 if forged else torch.zeros(count, dtype=torch.long)
    drift = [torch.roll(frames, (t, t), (-2, -1)) for t in range(clip)]
    return Batch(
        frames=torch.stack(drift, 1),
        label=label,
        mask=(disc(side)[None] * label[:, None, None])[:, None, None].expand(-1, clip, 1, -1, -1).clone(),
        has_mask=torch.ones(count, dtype=torch.bool),
        landmarks=torch.stack([points + t for t in range(clip)], 1),
        has_landmarks=torch.ones(count, dtype=torch.bool),
        video=[f"d/{'fake' if one else 'real'}/c23/{i}" for i, one in enumerate(label.tolist())],
        track=torch.zeros(count, dtype=torch.long),
        numbers=torch.arange(clip).expand(count, -1).clone(),
        is_counted=torch.ones(count, dtype=torch.bool),
        people=[str(i) for i in range(count)],
    )
