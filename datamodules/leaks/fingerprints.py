"""What a training keeps of its people and videos, so that a later test can tell whether it shares some: hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules import manifest
from datamodules.leaks.homes import name_person
from datamodules.prepared.shards import ShardMember
from datamodules.prepared.tables import load, load_tracks
from datamodules.runtime.errors import UserError
from datamodules.spacing import space_evenly

MOST = 5000  # videos of a set whose frames are kept
LOOKS = 3  # crops of each
SIDE, WAVES = 64, 16  # of the image that is transformed, and of the square of its lowest frequencies
WORDS = WAVES * WAVES // 64
Words = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprints:
    """Of the videos of one data set; no name can be read from it, though a guessed one can be tried.

    Args:
        dataset: Its name, as metrics have it.
        videos: How many they are.
        people: (N,) of identities and source clips, sorted.
        files: (N,) of the content of files, sorted.
        frames: (V, LOOKS, WORDS) how crops of some of them look.
    """

    dataset: str
    videos: int
    people: Tensor
    files: Tensor
    frames: Tensor

    def to_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_state(cls, state: object) -> Fingerprints:
        kinds = {"dataset": str, "videos": int, "people": Tensor, "files": Tensor, "frames": Tensor}
        if not isinstance(state, dict) or state.keys() != kinds.keys():
            raise UserError("the checkpoint: fingerprints: are not those of this version; train again to have them")
        wrong = [name for name, kind in kinds.items() if not isinstance(state[name], kind)]
        tensors = [state[name] for name in ("people", "files", "frames") if name not in wrong]
        if wrong or any(one.dtype != torch.int64 for one in tensors) or state["frames"].shape[1:] != (LOOKS, WORDS):
            raise UserError("the checkpoint: fingerprints: are damaged")
        return cls(**state)


def hash_word(text: str) -> int:
    """64 bits, with a sign."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def hash_people(videos: pa.Table, people: str | None) -> list[list[int]]:
    """Of each row."""
    columns = [videos[name].to_pylist() for name in ("dataset", "compression", "identities")]
    known: dict[tuple[str, str, str], int] = {}
    out = []
    for dataset, compression, names in zip(*columns, strict=True):
        mine = [(dataset, compression, name) for name in names.split()]
        for one in mine:
            if one not in known:
                known[one] = hash_word(name_person(*one, people))
        out.append([known[one] for one in mine])
    return out


def hash_files(videos: pa.Table) -> list[int | None]:
    """Of each row, from the checksum that 'prepare' has taken; None without one."""
    return [hash_word(text) if text else None for text in videos["sha256"].to_pylist()]


def hash_look(image: NDArray[np.uint8]) -> Words:
    """(WORDS,) which of the lowest frequencies of its greys are above the median: coding and resizing change few."""
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(grey.astype(np.float32))[:WAVES, :WAVES].ravel()
    bits = waves > np.median(waves)
    bits[0] = False  # brightness
    return np.packbits(bits).view(">i8").astype(np.int64)


def hash_looks(prepared: Path, keys: Sequence[str]) -> dict[str, Words]:
    """(LOOKS, WORDS) of crops of the best face of each video; those with fewer are left out.

    Args:
        keys: Of more than MOST videos a fixed draw is looked at.
    """
    drawn = sorted(keys, key=lambda key: blake2b(key.encode(), digest_size=8).digest())[:MOST]
    wanted, tracks = set(drawn), load_tracks(prepared)
    crops = load(prepared / "crops.arrow")
    columns = [crops[f"image{what}"] for what in ("", "_offset", "_length")]
    out: dict[str, Words] = {}
    places = zip(*(tracks[name].to_pylist() for name in ("video", "crops_first", "crops")), strict=True)
    for key, first, count in places:  # the best face of a video comes first
        if key not in wanted or key in out or count < LOOKS:
            continue
        rows = [first + i for i in space_evenly(count, LOOKS)]
        members = [ShardMember(*(column[row].as_py() for column in columns)) for row in rows]
        images = [cv2.imdecode(np.frombuffer(one.read(prepared), np.uint8), cv2.IMREAD_COLOR) for one in members]
        if all(image is not None for image in images):
            out[key] = np.stack([hash_look(image) for image in images])  # type: ignore[arg-type]
    return out


def take_fingerprints(dataset: str, prepared: Path, videos: pa.Table, people: str | None) -> Fingerprints:
    """
    Args:
        videos: Rows of the manifest.
        people: Whose people these are, where somebody has said so.
    """
    known = sorted({one for row in hash_people(videos, people) for one in row})
    files = sorted({one for one in hash_files(videos) if one is not None})
    looks = list(hash_looks(prepared, manifest.keys(videos).to_pylist()).values())
    frames = np.stack(looks) if looks else np.empty((0, LOOKS, WORDS), np.int64)
    return Fingerprints(
        dataset=dataset,
        videos=len(videos),
        people=torch.tensor(known, dtype=torch.int64),
        files=torch.tensor(files, dtype=torch.int64),
        frames=torch.from_numpy(frames),
    )


def unite_fingerprints(known: Sequence[Fingerprints], more: Sequence[Fingerprints]) -> list[Fingerprints]:
    """Of several trainings, one for each data set; of how many videos is then the least that they can be."""
    out = {one.dataset: one for one in known}
    for one in more:
        if (other := out.get(one.dataset)) is not None:
            looks = {tuple(look.flatten().tolist()) for look in other.frames}
            new = [look for look in one.frames if tuple(look.flatten().tolist()) not in looks]
            one = Fingerprints(
                dataset=one.dataset,
                videos=max(one.videos, other.videos),
                people=torch.cat([other.people, one.people]).unique(),
                files=torch.cat([other.files, one.files]).unique(),
                frames=torch.stack([*other.frames, *new]) if new else other.frames,
            )
        out[one.dataset] = one
    return list(out.values())


def read_fingerprints(kept: Sequence[Mapping[str, Any]] | None) -> list[Fingerprints] | None:
    """From a checkpoint; older ones do not know."""
    return None if kept is None else [Fingerprints.from_state(one) for one in kept]
