"""The faces of a prepared folder: which they are, and what is known of one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datamodules import manifest
from datamodules.batch import POINTS
from datamodules.faces.quality import find_plausible
from datamodules.manifest import Video
from datamodules.prepared import checksums
from datamodules.prepared.tables import load, load_tracks
from datamodules.runtime.errors import UserError


@dataclass(slots=True)
class FaceRecord:
    """One face of one video: the frames it is known in, and what is known."""

    row: Video
    track: int
    frames: NDArray[np.int64]  # (N,) ascending
    landmarks: NDArray[np.float32]  # (N, 68, 2), pixels of the frame
    where: dict[str, NDArray[Any]]  # (N,) columns that the source needs
    set_index: int = 0  # number of its prepared set, where there are several

    def find_rows(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        return np.searchsorted(self.frames, numbers)


class FaceIndex:
    """The faces of some videos: which they are is in memory, what is known of them stays on disk."""

    def __init__(
        self, prepared: Path, name: Literal["crops", "faces"], videos: pa.Table, columns: list[str], tracks: int
    ) -> None:
        """
        Args:
            name: The table that the rows of a face are in.
            columns: Columns that the source needs.
            tracks: Faces per video at most, the best ones.
        """
        self.paths, self.videos, self.columns = [prepared / f"{name}.arrow"], videos, columns
        checksums.check(prepared, self.paths[0].name)
        index = load_tracks(prepared)
        self.keys = manifest.keys(videos)
        owner = pc.fill_null(pc.index_in(index["video"], self.keys), -1).to_numpy()
        count = index[name].to_numpy()
        known = np.flatnonzero((owner >= 0) & (count > 0))
        place = np.arange(len(known))
        begins = np.r_[True, owner[known][1:] != owner[known][:-1]][: len(known)]
        known = known[place - np.maximum.accumulate(np.where(begins, place, 0)) < tracks]
        known = known[np.argsort(owner[known], kind="stable")]
        self.owner, self.count = owner[known], count[known]  # (F,) row of the manifest, rows of the table
        self.track = index["track"].to_numpy()[known]
        self.first = index[f"{name}_first"].to_numpy()[known]
        self.set_index = np.zeros(len(known), np.int64)  # (F,) number of the set of each
        if len(known) and not (self.first.min() >= 0 and (self.first + self.count).max() <= len(load(self.paths[0]))):
            raise UserError(f"{prepared / 'tracks.arrow'}: is damaged: names rows that {self.paths[0].name} lacks")

    @classmethod
    def join(cls, parts: Sequence[FaceIndex]) -> FaceIndex:
        """The faces of several sets, one set after the other; no video is in two of them."""
        if len(parts) == 1:
            return parts[0]
        out = cls.__new__(cls)
        out.paths, out.columns = [path for part in parts for path in part.paths], parts[0].columns
        out.videos = pa.concat_tables([part.videos for part in parts])
        out.keys = manifest.keys(out.videos)
        out.count, out.track = (np.concatenate([getattr(part, n) for part in parts]) for n in ("count", "track"))
        videos, rows = ([0, *np.cumsum(sizes)] for sizes in zip(*(part.sizes() for part in parts), strict=True))
        out.owner = np.concatenate([part.owner + begin for part, begin in zip(parts, videos, strict=False)])
        out.first = np.concatenate([part.first + begin for part, begin in zip(parts, rows, strict=False)])
        out.set_index = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return out

    def sizes(self) -> tuple[int, int]:
        """Videos, and rows of the table."""
        return len(self.videos), len(self.table)

    def __len__(self) -> int:
        return len(self.owner)

    @functools.cached_property
    def table(self) -> pa.Table:
        return pa.concat_tables([load(path) for path in self.paths])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "table"}  # a mapping is opened again

    def number_of(self, i: int) -> int:
        """A number for the video that a face is in, whatever else is in the folder."""
        return crc32(self.keys[self.owner[i]].as_py().encode())

    def owners(self) -> list[tuple[str, int]]:
        """Video and track of each face."""
        keys = self.keys.to_pylist()
        return [(keys[owner], int(track)) for owner, track in zip(self.owner, self.track, strict=True)]

    def frames(self, i: int, only_believed: bool = False) -> NDArray[np.int64]:
        rows = self.table.slice(self.first[i], self.count[i])
        frames: NDArray[np.int64] = rows["frame"].to_numpy().astype(np.int64)
        return frames[find_plausible(rows)] if only_believed else frames

    def times(self, i: int) -> NDArray[np.float64]:
        """(N,) seconds of the frames of a face."""
        seconds: NDArray[np.float64] = self.table.slice(self.first[i], self.count[i])["time"].to_numpy()
        return seconds

    def all_frames(self, only_believed: bool = False) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(N,) face and frame number of all rows, in the order of the faces."""
        face = np.repeat(np.arange(len(self), dtype=np.int32), self.count)
        rows = np.repeat(self.first - np.cumsum(self.count) + self.count, self.count) + np.arange(len(face))
        if only_believed:
            believed = find_plausible(self.table)[rows]
            face, rows = face[believed], rows[believed]
        return face, self.table["frame"].to_numpy()[rows]

    def face(self, i: int) -> FaceRecord:
        rows = self.table.slice(self.first[i], self.count[i])
        points = rows["landmarks"].combine_chunks().flatten().to_numpy().reshape(-1, POINTS, 2)
        (row,) = manifest.rows(self.videos.slice(self.owner[i], 1))
        where = {name: rows[name].to_numpy() for name in self.columns}
        return FaceRecord(row, int(self.track[i]), self.frames(i), points, where, int(self.set_index[i]))
