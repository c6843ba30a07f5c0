"""Clips of faces, from the crop store or straight from the videos."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datamodules import manifest
from datamodules.batch import Sample
from datamodules.faces.align import Cropper
from datamodules.faces.crop import NoCrop, Region, restore_region
from datamodules.loading.sampling import Address, Faces
from datamodules.loading.starts import Numbers, begin_clips, count_spaced
from datamodules.manifest import resolve_inside
from datamodules.media.image import HALF, binarize, decode, resize
from datamodules.media.mask_video import read_masks
from datamodules.media.probe import Index, probe
from datamodules.media.video import Decoder
from datamodules.prepared.face_index import FaceIndex, FaceRecord
from datamodules.prepared.shards import ShardMember
from datamodules.prepared.tables import IMAGE_COLUMNS, PLACE
from datamodules.runtime.errors import UserError
from datamodules.segments import find_forged
from datamodules.spacing import space_evenly


class Clips(Dataset[Sample]):
    """Addressed by the sampler; holds no open file."""

    hides_masks = False  # of forged faces, where they have to be asked for
    only_forged = False  # of partly forged videos only clips with a forged frame, so that a fake is one in training

    def __init__(self, known: FaceIndex, folder: Path, size: int, length: int, every: int) -> None:
        """
        Args:
            folder: Holds the files.
        """
        self.known, self.folders, self.size, self.length, self.every = known, [folder], size, length, every
        self.mask_thresholds = [HALF]  # of each set

    def __len__(self) -> int:
        return len(self.known)

    @functools.cached_property
    def face_record(self) -> Callable[[int], FaceRecord]:
        return functools.lru_cache(maxsize=64)(self.known.face)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "seen"}

    def starts(self, i: int) -> NDArray[np.int64]:
        """Frames from which a whole clip of a face can be cut."""
        # what moves between landmarks that are wrong is no face
        frames = starts = self.known.frames(i, only_believed=self.length > 1)
        for step in range(1, self.length):
            starts = np.intersect1d(starts, frames - step * self.every)
        video = self.known.owner[i]
        if not self.only_forged or not self.known.videos["fake_segments"][video].as_py():
            return starts
        segments, fps, path = (self.known.videos[name][video].as_py() for name in ("fake_segments", "fps", "path"))
        frames = self.known.frames(i)
        forged = frames[find_forged(segments, fps, frames, path, self.known.times(i))]
        steps = range(0, self.length * self.every, self.every)
        return starts[np.any([np.isin(starts + step, forged) for step in steps], 0)]

    @property
    def is_partial(self) -> NDArray[np.bool_]:
        """(F,) whether a part of the clips of each face is left out."""
        if not self.only_forged:
            return np.zeros(len(self), bool)
        out: NDArray[np.bool_] = pc.not_equal(self.known.videos["fake_segments"], "").to_numpy()[self.known.owner]
        return out

    def all_starts(self) -> tuple[Numbers, Numbers]:
        """(N,) face and frame of all starts, ascending."""
        face, frame = self.known.all_frames(only_believed=self.length > 1)
        if self.length == 1 and not self.is_partial.any():
            return face, frame
        kept = begin_clips(face, frame, self.length, self.every)
        for i in np.flatnonzero(self.is_partial).tolist():
            mine = slice(*np.searchsorted(face, [i, i + 1]))
            kept[mine] = np.isin(frame[mine], self.starts(i))
        return face[kept], frame[kept]

    def space_starts(self, i: int, count: int) -> NDArray[np.int64]:
        """At most as many starts, evenly spaced over what there is."""
        starts = self.starts(i)
        return starts[space_evenly(len(starts), count)]

    def sizes(self, evenly_spaced: int | None) -> NDArray[np.int64]:
        """(F,) clips that each face can give."""
        if self.length == 1 and not self.is_partial.any():
            count = self.known.count
        else:
            count = np.bincount(self.all_starts()[0], minlength=len(self))
        return count if evenly_spaced is None else np.minimum(count, evenly_spaced)

    def faces(self, evenly_spaced: int | None = None) -> Faces:
        """
        Args:
            evenly_spaced: Only this many clips of each face, spaced over the length of its video.
        """
        known = self.known
        source = manifest.sources(known.videos).dictionary_encode().indices.to_numpy()
        return Faces(
            label=known.videos["label"].to_numpy()[known.owner],
            size=self.sizes(evenly_spaced),
            number_of=known.number_of,
            source=source[known.owner],
            starts=self.starts if evenly_spaced is None else functools.partial(self.space_starts, count=evenly_spaced),
            all_starts=self.all_starts,
            set_index=known.set_index,
            length=self.length,
            every=self.every,
        )

    def __getitem__(self, address: Address) -> Sample:
        return self.__getitems__([address])[0]

    @abstractmethod
    def __getitems__(self, addresses: list[Address]) -> list[Sample]: ...

    def sample(self, address: Address, frames: Tensor, mask: Tensor | None, regions: list[Region]) -> Sample:
        face = self.face_record(address.face)
        rows = face.find_rows(address.numbers)
        points, times = face.landmarks[rows], face.where["time"][rows]
        inward = np.stack([region.to_crop(p, self.size) for region, p in zip(regions, points, strict=True)])
        row = face.row
        label = int(row.label and find_forged(row.fake_segments, row.fps, address.numbers, row.path, times).any())
        if label == 0:
            mask = torch.zeros_like(frames[:, :1])  # a real face is known to be untouched
        return Sample(
            frames=frames,
            label=label,
            mask=mask,
            landmarks=torch.from_numpy(inward),
            video=row.key,
            people=row.identities,
            track=face.track,
            numbers=torch.tensor(address.numbers),
            is_counted=address.is_counted,
        )


def join(parts: Sequence[Clips]) -> Clips:
    """The faces of several sets, which are read alike."""
    out = copy(parts[0])
    out.known = FaceIndex.join([part.known for part in parts])
    out.folders = [folder for part in parts for folder in part.folders]
    out.mask_thresholds = [threshold for part in parts for threshold in part.mask_thresholds]
    return out


def to_frames(images: list[NDArray[np.uint8]]) -> Tensor:
    """(H, W[, 3]) images to (T, 3 or 1, H, W)."""
    stacked = torch.from_numpy(np.stack(images))
    return stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2).contiguous()


class CropClips(Clips):
    """Reads the stored crops."""

    def __init__(self, prepared: Path, videos: pa.Table, size: int, tracks: int) -> None:
        columns = ["time", *PLACE] + [f"{kind}{what}" for kind in ("image", "mask") for what in IMAGE_COLUMNS]
        super().__init__(FaceIndex(prepared, "crops", videos, columns, tracks), prepared, size, 1, 1)

    def read(self, face: FaceRecord, i: int, kind: str) -> NDArray[np.uint8]:
        folder, file = self.folders[face.set_index], face.where[kind][i]
        place = ShardMember(file, int(face.where[f"{kind}_offset"][i]), int(face.where[f"{kind}_length"][i]))
        try:
            content = place.read(folder)
            if crc32(content) != face.where[f"{kind}_crc"][i]:
                raise OSError("its checksum is not that of what was written")
            return resize(decode(content, grey=kind == "mask"), self.size)
        except (OSError, OverflowError, MemoryError) as error:
            raise UserError(f"{folder / file}: cannot be read ({error}); prepare the data again") from error

    def __getitems__(self, addresses: list[Address]) -> list[Sample]:
        samples = []
        for address in addresses:
            face = self.face_record(address.face)
            i = int(face.find_rows(address.numbers)[0])
            frames = to_frames([self.read(face, i, "image")])
            mask = (
                to_frames([binarize(self.read(face, i, "mask"))])
                if face.where["mask"][i] and not self.hides_masks
                else None
            )
            region = restore_region(*(float(face.where[name][i]) for name in PLACE))
            samples.append(self.sample(address, frames, mask, [region]))
        return samples


def probe_once(path: Path) -> Index:
    """An epoch reads a video several times, and the next one again."""
    if not path.exists():
        return probe(path)  # which says so
    state = path.stat()
    return probe_of(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=2**14)
def probe_of(path: Path, mtime: int, size: int) -> Index:
    return probe(path)


class VideoClips(Clips):
    """Decodes the videos, each once for all its clips in a batch."""

    def __init__(
        self,
        prepared: Path,
        root: Path,
        videos: pa.Table,
        decoder: Decoder,
        size: int,
        cropper: Cropper,
        tracks: int,
        length: int = 1,
        every: int = 1,
    ) -> None:
        """
        Args:
            length: Frames per clip.
            every: Step from one frame of a clip to the next.
        """
        known = FaceIndex(prepared, "faces", videos, ["time", "x0", "y0", "x1", "y1"], tracks)
        super().__init__(known, root, size, length, every)
        self.decoder, self.cropper = decoder, cropper

    def space_starts(self, i: int, count: int) -> NDArray[np.int64]:
        starts = self.starts(i)
        if len(starts) <= count:
            return starts
        # over the whole video, not only where the face was seen, so that every method gets the same frames
        frames = self.known.videos["frames"][self.known.owner[i]].as_py()
        spaced = np.intersect1d(starts, space_evenly(frames - (self.length - 1) * self.every, count))
        return spaced if len(spaced) else starts[space_evenly(len(starts), count)]

    def sizes(self, evenly_spaced: int | None) -> NDArray[np.int64]:
        if evenly_spaced is None:
            return super().sizes(None)
        frames = self.known.videos["frames"].to_numpy()[self.known.owner]
        return count_spaced(*self.all_starts(), frames - (self.length - 1) * self.every, evenly_spaced)

    def region(self, face: FaceRecord, number: int) -> Region:
        i = int(face.find_rows([number])[0])
        box = np.array([face.where[name][i] for name in ("x0", "y0", "x1", "y1")])
        try:
            return self.cropper.region(box, face.landmarks[i])
        except NoCrop as error:
            raise UserError(f"{face.row.path}, frame {number}: {error}") from error

    def __getitems__(self, addresses: list[Address]) -> list[Sample]:
        samples: dict[int, Sample] = {}
        by_video: dict[str, list[int]] = {}
        for i, address in enumerate(addresses):
            by_video.setdefault(self.face_record(address.face).row.key, []).append(i)
        for places in by_video.values():
            face = self.face_record(addresses[places[0]].face)
            row, root = face.row, self.folders[face.set_index]
            path = resolve_inside(root, row.path)
            numbers = sorted({n for i in places for n in addresses[i].numbers})
            index = probe_once(path)
            images = dict(zip(numbers, self.decoder.read(path, numbers, index).cpu().numpy(), strict=True))
            masks: dict[int, NDArray[np.uint8] | None] = {}
            if row.mask and not self.hides_masks:
                size = images[numbers[0]].shape[:2]
                masked = resolve_inside(root, row.mask)
                threshold = self.mask_thresholds[face.set_index]
                found = read_masks(self.decoder, masked, index, numbers, size, probe_once(masked), threshold)
                masks = dict(zip(numbers, found, strict=True))
            for i in places:
                samples[i] = self.cut(addresses[i], images, masks)
        return [samples[i] for i in range(len(addresses))]

    def cut(
        self, address: Address, images: dict[int, NDArray[np.uint8]], masks: dict[int, NDArray[np.uint8] | None]
    ) -> Sample:
        # the region of the first frame serves the whole clip: a crop that followed the head would hide its motion
        region = self.region(self.face_record(address.face), address.numbers[0])
        frames = to_frames([region.cut(images[n], self.size) for n in address.numbers])
        known = [mask for n in address.numbers if (mask := masks.get(n)) is not None]
        cut: Tensor | None = None
        if len(known) == len(address.numbers):
            cut = to_frames([region.cut_mask(mask, self.size) for mask in known])
        return self.sample(address, frames, cut, [region] * len(address.numbers))
