"""Clips of faces, from the crop store or straight from the videos."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.batch import POINTS, Sample
from datamodules.crops import Place, Square, decode, resize, two_valued
from datamodules.errors import Refused
from datamodules.manifest import Video, inside
from datamodules.masks import read_masks
from datamodules.sampling import Address, Face, evenly
from datamodules.video import Decoder, probe


@dataclass(slots=True)
class Seen:
    """One face of one video: the frames it is known in, and what is known."""

    row: Video
    track: int
    frames: NDArray[np.int64]  # (N,) ascending
    landmarks: NDArray[np.float32]  # (N, 68, 2), pixels of the frame
    where: dict[str, NDArray[Any]]  # (N,) columns that the source needs

    def at(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        return np.searchsorted(self.frames, numbers)


def read_seen(path: Path, rows: Sequence[Video], columns: list[str], tracks: int) -> list[Seen]:
    """The first faces of each video, in the order of the rows; best faces come first in the table."""
    by_key = {row.key: row for row in rows}
    wanted = ["video", "track", "frame", "landmarks", *columns]
    table = pq.read_table(path, columns=wanted, filters=pc.field("video").isin(list(by_key)))
    if not len(table):
        return []
    points = table["landmarks"].combine_chunks().flatten().to_numpy().reshape(-1, POINTS, 2)
    data = {name: table[name].to_numpy() for name in wanted if name != "landmarks"}
    data["video"] = data["video"].astype(str)
    change = np.flatnonzero((data["video"][1:] != data["video"][:-1]) | (data["track"][1:] != data["track"][:-1])) + 1
    seen: dict[str, list[Seen]] = {}
    for span in np.split(np.arange(len(table)), change):
        key = str(data["video"][span[0]])
        faces = seen.setdefault(key, [])
        if len(faces) < tracks:
            where = {name: data[name][span] for name in columns}
            faces.append(
                Seen(
                    by_key[key], int(data["track"][span[0]]), data["frame"][span].astype(np.int64), points[span], where
                )
            )
    return [face for row in rows for face in seen.get(row.key, [])]


class Clips(Dataset[Sample]):
    """Addressed by the sampler; holds paths and tables, no open file."""

    def __init__(self, seen: list[Seen], size: int, length: int, every: int) -> None:
        self.seen, self.size, self.length, self.every = seen, size, length, every

    def __len__(self) -> int:
        return len(self.seen)

    def faces(self, evenly_spaced: int | None = None) -> list[Face]:
        """
        Args:
            evenly_spaced: Only this many clips of each face, spaced over the length of its video.
        """
        faces = []
        for face in self.seen:
            starts = face.frames
            for step in range(1, self.length):
                starts = np.intersect1d(starts, face.frames - step * self.every)
            if evenly_spaced is not None and len(starts) > evenly_spaced:
                span = (self.length - 1) * self.every
                spaced = np.intersect1d(starts, evenly(face.row.frames - span, evenly_spaced))
                starts = spaced if self.whole and len(spaced) else starts[evenly(len(starts), evenly_spaced)]
            group = "/".join((face.row.dataset, face.row.compression, face.row.source))
            faces.append(Face(face.row.key, face.row.label, group, starts, self.length, self.every))
        return faces

    whole = False  # every frame of a video can be read, not only those that were cropped

    def __getitem__(self, address: Address) -> Sample:
        return self.__getitems__([address])[0]

    @abstractmethod
    def __getitems__(self, addresses: list[Address]) -> list[Sample]: ...

    def sample(self, address: Address, frames: Tensor, mask: Tensor | None, squares: list[Square]) -> Sample:
        face = self.seen[address.face]
        points = face.landmarks[face.at(address.numbers)]
        inward = np.stack([square.inward(p, self.size) for square, p in zip(squares, points, strict=True)])
        if face.row.label == 0:
            mask = torch.zeros_like(frames[:, :1])  # a real face is known to be untouched
        return Sample(
            frames=frames,
            label=face.row.label,
            mask=mask,
            landmarks=torch.from_numpy(inward),
            video=face.row.key,
            track=face.track,
            numbers=torch.tensor(address.numbers),
            counts=address.counts,
        )


def as_frames(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """(H, W[, 3]) pictures to (T, 3 or 1, H, W)."""
    stacked = torch.from_numpy(np.stack(pictures))
    return stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2).contiguous()


class CropClips(Clips):
    """Reads the stored crops."""

    def __init__(self, prepared: Path, rows: Sequence[Video], size: int, tracks: int) -> None:
        columns = ["x", "y", "side"] + [f"{k}{s}" for k in ("image", "mask") for s in ("", "_offset", "_length")]
        super().__init__(read_seen(prepared / "crops.parquet", rows, columns, tracks), size, 1, 1)
        self.prepared = prepared

    def read(self, face: Seen, i: int, kind: str) -> NDArray[np.uint8]:
        file = face.where[kind][i]
        place = Place(file, int(face.where[f"{kind}_offset"][i]), int(face.where[f"{kind}_length"][i]))
        try:
            return resize(decode(place.read(self.prepared), grey=kind == "mask"), self.size)
        except OSError as error:
            raise Refused(f"{self.prepared / file}: cannot be read ({error}); prepare the data again") from error

    def __getitems__(self, addresses: list[Address]) -> list[Sample]:
        samples = []
        for address in addresses:
            face = self.seen[address.face]
            i = int(face.at(address.numbers)[0])
            frames = as_frames([self.read(face, i, "image")])
            mask = as_frames([two_valued(self.read(face, i, "mask"))]) if face.where["mask"][i] else None
            square = Square(*(int(face.where[name][i]) for name in ("x", "y", "side")))
            samples.append(self.sample(address, frames, mask, [square]))
        return samples


class VideoClips(Clips):
    """Decodes the videos, each once for all its clips in a batch."""

    whole = True

    def __init__(
        self,
        prepared: Path,
        videos: Path,
        rows: Sequence[Video],
        decoder: Decoder,
        size: int,
        margin: float,
        tracks: int,
        length: int = 1,
        every: int = 1,
    ) -> None:
        """
        Args:
            length: Frames per clip.
            every: Step from one frame of a clip to the next.
        """
        seen = read_seen(prepared / "faces.parquet", rows, ["x0", "y0", "x1", "y1"], tracks)
        super().__init__(seen, size, length, every)
        self.videos, self.decoder, self.margin = videos, decoder, margin

    def square(self, face: Seen, number: int) -> Square:
        i = int(face.at([number])[0])
        return Square.around(np.array([face.where[name][i] for name in ("x0", "y0", "x1", "y1")]), self.margin)

    def __getitems__(self, addresses: list[Address]) -> list[Sample]:
        samples: dict[int, Sample] = {}
        by_video: dict[str, list[int]] = {}
        for i, address in enumerate(addresses):
            by_video.setdefault(self.seen[address.face].row.key, []).append(i)
        for places in by_video.values():
            row = self.seen[addresses[places[0]].face].row
            path = inside(self.videos, row.path)
            numbers = sorted({n for i in places for n in addresses[i].numbers})
            pictures = dict(zip(numbers, self.decoder.read(path, numbers).cpu().numpy(), strict=True))
            masks: dict[int, NDArray[np.uint8] | None] = {}
            if row.mask:
                times = probe(path).times[numbers].tolist()
                size = pictures[numbers[0]].shape[:2]
                found = read_masks(self.decoder, inside(self.videos, row.mask), times, size)
                masks = dict(zip(numbers, found, strict=True))
            for i in places:
                samples[i] = self.cut(addresses[i], pictures, masks)
        return [samples[i] for i in range(len(addresses))]

    def cut(
        self, address: Address, pictures: dict[int, NDArray[np.uint8]], masks: dict[int, NDArray[np.uint8] | None]
    ) -> Sample:
        # the square of the first frame serves the whole clip: a crop that followed the head would hide its motion
        square = self.square(self.seen[address.face], address.numbers[0])
        frames = as_frames([square.cut(pictures[n], self.size) for n in address.numbers])
        regions = [region for n in address.numbers if (region := masks.get(n)) is not None]
        mask: Tensor | None = None
        if len(regions) == len(address.numbers):
            mask = as_frames([square.cut_mask(region, self.size) for region in regions])
        return self.sample(address, frames, mask, [square] * len(address.numbers))
