"""Which frames are drawn: functions of (seed, epoch, video), whatever the number of workers and ranks."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DistributedSampler


class Address(NamedTuple):
    """One sample: a face of a video and the frames of it."""

    face: int  # position in the list of faces
    numbers: tuple[int, ...]  # frame numbers, ascending
    counts: bool = True  # False where it only fills the last step of a rank


def evenly(length: int, count: int) -> list[int]:
    """``count`` of ``length`` positions from the first to the last, all of them where there are fewer."""
    if count >= length:
        return list(range(length))
    if count == 1:
        return [length // 2]
    return [int(i) for i in np.floor(np.linspace(0, length - 1, count) + 0.5)]


def generator(seed: int, epoch: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, crc32(name.encode())])


class Face(NamedTuple):
    """What a sampler knows of one face: whose it is and which clips it can give."""

    video: str
    label: int
    group: str  # real and fake of one source clip share it
    starts: NDArray[np.int64]  # first frame of each clip that can be cut
    length: int  # frames of a clip
    every: int  # step from one frame of a clip to the next

    def clip(self, start: int) -> tuple[int, ...]:
        return tuple(range(int(start), int(start) + self.length * self.every, self.every))


class EvalSampler(DistributedSampler[Address]):
    """Evenly spaced clips of every face, always the same; dealt to the ranks in turn."""

    def __init__(self, faces: Sequence[Face], clips: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(faces, num_replicas=world, rank=rank)  # type: ignore[arg-type]
        self.all = [Address(i, f.clip(f.starts[j])) for i, f in enumerate(faces) for j in evenly(len(f.starts), clips)]

    def __iter__(self) -> Iterator[Address]:
        # every rank takes the same number of steps, or those that wait for each other hang
        copies = [a._replace(counts=False) for a in self.all[:1] * (-len(self.all) % self.num_replicas)]
        return iter((self.all + copies)[self.rank :: self.num_replicas])

    def __len__(self) -> int:
        return -(-len(self.all) // self.num_replicas)


class TrainSampler(DistributedSampler[Address]):
    """Other clips of every face in every epoch, real and fake alike in number."""

    def __init__(
        self,
        faces: Sequence[Face],
        draws: int,
        batch: int,
        seed: int,
        balance: bool = True,
        pairs: bool = False,
        together: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """
        Args:
            faces: All that may be drawn.
            draws: Clips per face and epoch.
            batch: Samples per step on all ranks together; what does not fill a step is left out.
            seed: Of the draws and their order.
            balance: The rarer class gives more different clips, and the other is thinned to match.
            pairs: A fake is followed by the same frames of its source.
            together: Draws of one face follow each other, so that its video is decoded once.
        """
        super().__init__(faces, num_replicas=world, rank=rank, seed=seed)  # type: ignore[arg-type]
        self.faces, self.draws, self.batch = faces, draws, batch
        self.balance, self.pairs, self.together = balance, pairs, together
        self.partner = {f.group: i for i, f in enumerate(faces) if f.label == 0}

    def draw(self, i: int, count: int) -> list[Address]:
        face = self.faces[i]
        starts = face.starts
        picked = generator(self.seed, self.epoch, face.video).choice(
            len(starts), min(count, len(starts)), replace=False
        )
        return [Address(i, face.clip(starts[j])) for j in sorted(picked)]

    def units(self) -> list[list[Address]]:
        """What stays together in the order: a pair, the draws of a video, or a single clip."""
        order = generator(self.seed, self.epoch, "")
        if self.pairs:
            return self.paired()
        by_class = [[i for i, f in enumerate(self.faces) if f.label == label] for label in (0, 1)]
        largest = max(map(len, by_class)) * self.draws
        drawn = []
        for members in by_class:
            count = -(-largest // len(members)) if self.balance and members else self.draws
            drawn.append([self.draw(i, count) for i in members])
        if self.balance and all(by_class):
            least = min(sum(map(len, faces)) for faces in drawn)
            drawn = [thin(faces, least, order) for faces in drawn]
        units = [unit for faces in drawn for unit in faces if unit]
        return units if self.together else [[address] for unit in units for address in unit]

    def paired(self) -> list[list[Address]]:
        out = []
        for i, face in enumerate(self.faces):
            other = self.partner.get(face.group)
            if face.label == 0 or other is None:
                continue
            shared = np.intersect1d(face.starts, self.faces[other].starts)
            count = min(self.draws, len(shared))
            picked = generator(self.seed, self.epoch, face.video).choice(len(shared), count, replace=False)
            out += [[Address(i, face.clip(shared[j])), Address(other, face.clip(shared[j]))] for j in sorted(picked)]
        return out

    def addresses(self) -> list[Address]:
        units = self.units()
        order = generator(self.seed, self.epoch, "order").permutation(len(units))
        everything = [address for i in order for address in units[i]]
        return everything[: len(everything) // self.batch * self.batch]

    def __iter__(self) -> Iterator[Address]:
        everything = self.addresses()
        unit = 2 if self.pairs else 1  # a pair goes to one rank
        dealt = [everything[i : i + unit] for i in range(0, len(everything), unit)]
        return iter([address for pair in dealt[self.rank :: self.num_replicas] for address in pair])

    def __len__(self) -> int:
        return self.total // self.num_replicas

    @functools.cached_property
    def total(self) -> int:
        return len(self.addresses())  # the same in every epoch


def thin(faces: list[list[Address]], total: int, rng: np.random.Generator) -> list[list[Address]]:
    """Leaves out clips at random until ``total`` are left."""
    flat = [(i, address) for i, face in enumerate(faces) for address in face]
    kept: list[list[Address]] = [[] for _ in faces]
    for j in sorted(rng.choice(len(flat), total, replace=False)):
        kept[flat[j][0]].append(flat[j][1])
    return kept
