"""What a test set shares with the training of a checkpoint: people, files, and videos that look the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from datamodules import manifest
from datamodules.leaks.fingerprints import (
    LOOKS,
    WAVES,
    Fingerprints,
    Words,
    hash_files,
    hash_looks,
    hash_people,
)

# of 256 bits that two crops of one frame may differ in: c40 of a c23 changes 40 in the median, and another face 110
ALIKE = 48
BLOCK = 2048  # crops that are compared with all at the same time, for memory
KEY = "shared_with_training"  # of what a table of predictions keeps of it
NOTHING = "Nothing of the test is in the training, as far as people, files and looks can tell"
UNKNOWN = "What it shares with its training is not known: no fingerprints of that are kept"


@dataclass(frozen=True, kw_only=True)
class SharedSet:
    """A test set against one data set of training.

    Args:
        looked: Test videos whose frames were compared with those that training kept.
        by_people: Test videos with a person or source clip of training.
        people: How many of these.
        by_file: Test videos whose file is one of training's.
        by_look: Test videos whose frames look like those of a video of training, forged or not.
        shared: Test videos that are any of these.
    """

    test: str
    train: str
    videos: int
    looked: int
    by_people: int
    people: int
    by_file: int
    by_look: int
    shared: int

    def __str__(self) -> str:
        people = f"{self.by_people} by {self.people} {'person' if self.people == 1 else 'people'} or source clips"
        found = f"{people}, {self.by_file} as the same file, {self.by_look} of {self.looked} by how they look"
        return f"{self.test}: {self.shared} of {self.videos} test videos are in the training on {self.train} ({found})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class SharedVideo:
    """One video of a test, and why training knows it."""

    video: str
    train: str
    people: bool
    file: bool
    look: bool


@dataclass(frozen=True, kw_only=True)
class TestedSet:
    """
    Args:
        videos: Rows of the manifest, of the test.
        people: Whose people these are, where somebody has said so.
    """

    name: str
    prepared: Path
    videos: pa.Table
    people: str | None


def find_shared(test: TestedSet, training: Sequence[Fingerprints]) -> tuple[list[SharedSet], list[SharedVideo]]:
    """For each data set of training with which something is shared; and the videos that are."""
    keys = manifest.keys(test.videos).to_pylist()
    people, files = hash_people(test.videos, test.people), hash_files(test.videos)
    looks = hash_looks(test.prepared, keys) if any(len(one.frames) for one in training) else {}
    sets, videos = [], []
    for one in training:
        known, contents = set(one.people.tolist()), set(one.files.tolist())
        alike = find_alike(looks, one.frames)
        mine = []
        for key, names, file in zip(keys, people, files, strict=True):
            why = {"people": not known.isdisjoint(names), "file": file in contents, "look": key in alike}
            if any(why.values()):
                mine.append(SharedVideo(video=key, train=one.dataset, **why))
        if mine:
            sets.append(
                SharedSet(
                    test=test.name,
                    train=one.dataset,
                    videos=len(keys),
                    looked=len(looks),
                    by_people=sum(video.people for video in mine),
                    people=len(known & {name for names in people for name in names}),
                    by_file=sum(video.file for video in mine),
                    by_look=sum(video.look for video in mine),
                    shared=len(mine),
                )
            )
            videos += mine
    return sets, videos


def find_alike(looks: dict[str, Words], known: Tensor) -> set[str]:
    """Videos most of whose crops differ in few bits from those of one known video, in their order."""
    if not looks or not len(known):
        return set()
    mine, theirs = signs(np.stack(list(looks.values()))), signs(known.numpy())
    found = []
    for start in range(0, len(mine), BLOCK):
        some = mine[start : start + BLOCK]
        # of two words of +1 and -1, the product is all bits less twice those that differ
        differ = [(WAVES * WAVES - some[:, i] @ theirs[:, i].T) / 2 for i in range(LOOKS)]
        near = torch.stack([one <= ALIKE for one in differ]).sum(0) > LOOKS / 2  # (B, V)
        found += near.any(1).tolist()
    return {key for key, is_near in zip(looks, found, strict=True) if is_near}


def signs(words: Words) -> Tensor:
    """(V, LOOKS, bits) of +1 and -1."""
    bits = np.unpackbits(words.astype(">i8").view(np.uint8).reshape(*words.shape[:2], -1), axis=-1)
    return torch.from_numpy(bits.astype(np.float32) * 2 - 1)
