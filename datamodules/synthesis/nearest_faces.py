"""Each face with one of the faces of other videos whose landmarks are most like its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.batch import Sample
from datamodules.loading.clips import CropClips
from datamodules.loading.sampling import Address, generator
from datamodules.prepared.tables import PLACE
from datamodules.runtime.errors import UserError

BLOCK = 4096  # candidates compared at once, so that they stay in the cache


def find_nearest(points: Tensor, video: Tensor, candidates: Tensor, owner: Tensor, count: int) -> Tensor:
    """(B, count) the candidates of other videos with the smallest sum of distances, point by point, nearest first.

    Args:
        points: (B, P, 2).
        video: (B,) that each is of.
        candidates: (P, N, 2); every one is compared.
        owner: (N,) video of each.
    """
    each = points.transpose(0, 1).contiguous()  # (P, B, 2)
    total = torch.cat(
        [
            torch.cdist(each, block, compute_mode="donot_use_mm_for_euclid_dist").sum(0)
            for block in candidates.split(BLOCK, 1)
        ],
        1,
    )
    total[video[:, None] == owner] = torch.inf
    return total.topk(count, largest=False).indices


@dataclass
class Candidates:
    """Landmarks of faces, over the side of their crop."""

    points: Tensor  # (P, N, 2)
    face: NDArray[np.int64]  # (N,) position in the list of faces
    video: Tensor  # (N,) row of the manifest
    frame: NDArray[np.int64]  # (N,)
    fewest: int = field(init=False)  # candidates that the face with the fewest has

    def __post_init__(self) -> None:
        counts = np.bincount(self.video.numpy())
        self.fewest = len(self.face) - int(counts.max(initial=0))


class WithSources(Dataset[Sample]):
    """The samples asked for, then the source of each real one; nothing but the address decides which."""

    def __init__(self, clips: CropClips, count: int, most: int, seed: int) -> None:
        """
        Args:
            count: Number of nearest faces among which one is drawn.
            most: At most so many are compared, drawn once.
            seed: Seed of both draws.
        """
        self.clips, self.count, self.seed = clips, count, seed
        self.is_real = clips.known.videos["label"].to_numpy()[clips.known.owner] == 0
        rows = np.flatnonzero(np.repeat(self.is_real, clips.known.count))
        if len(rows) > most:
            rows = rows[np.sort(generator(seed).choice(len(rows), most, replace=False))]
        self.candidates = gather(clips, rows)
        if self.candidates.fewest < 1:
            folders = ", ".join(map(str, clips.folders))
            raise UserError(f"{folders}: the faces of a single video; a source is of another one")

    def __len__(self) -> int:
        return len(self.clips)

    def points(self, address: Address) -> Tensor:
        face = self.clips.face_record(address.face)
        at = face.find_rows(address.numbers)
        return over_side(face.landmarks[at], *(face.where[name][at] for name in PLACE))

    def source(self, addresses: list[Address]) -> list[Address]:
        known, candidates = self.clips.known, self.candidates
        points = torch.cat([self.points(address) for address in addresses])
        video = torch.from_numpy(known.owner[[address.face for address in addresses]])
        count = min(self.count, candidates.fewest)
        alike = find_nearest(points, video, candidates.points, candidates.video, count).numpy()
        out = []
        for address, places in zip(addresses, alike, strict=True):
            number = known.number_of(address.face)
            rank = generator(self.seed, address.epoch, 3, number, address.numbers[0]).integers(count)
            place = places[rank]
            out.append(Address(int(candidates.face[place]), (int(candidates.frame[place]),)))
        return out

    def __getitems__(self, addresses: list[Address]) -> list[Sample]:
        blended = [address for address in addresses if self.is_real[address.face]]
        return self.clips.__getitems__(addresses + (self.source(blended) if blended else []))


def over_side(points: NDArray[np.float32], *place: NDArray[np.float32]) -> Tensor:
    """(N, P, 2) in pixels of the frame to parts of the crop's side.

    Args:
        place: (N,) each of PLACE.
    """
    x, y, side, angle = (column.astype(np.float64)[:, None, None] for column in place)
    level = (points - np.concatenate([x, y], 2)) / side
    centre, turn = (side - 1) / side / 2, np.exp(-1j * np.radians(angle))
    away = (level - centre) @ np.array([[1], [1j]]) * (turn - 1)  # nothing, to the bit, where there is no turn
    return torch.from_numpy((level + np.concatenate([away.real, away.imag], 2)).astype(np.float32))


def gather(clips: CropClips, rows: NDArray[np.int64]) -> Candidates:
    """
    Args:
        rows: Numbers of the crops of all faces, one face after the other.
    """
    known = clips.known
    begins = np.cumsum(known.count) - known.count
    face = np.searchsorted(begins, rows, side="right") - 1
    table = known.table.select(["frame", "landmarks", *PLACE]).take(known.first[face] + rows - begins[face])
    points = table["landmarks"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1, 2)
    relative = over_side(points, *(table[name].to_numpy() for name in PLACE))
    return Candidates(
        points=relative.transpose(0, 1).contiguous(),
        face=face,
        video=torch.from_numpy(known.owner[face]),
        frame=table["frame"].to_numpy().astype(np.int64),
    )
