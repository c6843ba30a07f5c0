"""Which frames are drawn: functions of (seed, epoch, video), whatever the number of workers and ranks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DistributedSampler

from datamodules.loading.starts import Numbers, combine, find_sorted
from datamodules.spacing import space_evenly


class Address(NamedTuple):
    """One sample: a face of a video and the frames of it."""

    face: int  # position in the list of faces
    numbers: tuple[int, ...]  # frame numbers, ascending
    is_counted: bool = True  # False where it only fills the last step of a rank
    epoch: int = 0  # of training


def generator(*address: int) -> np.random.Generator:
    """A stream of its own for each (seed, epoch, ...)."""
    return np.random.default_rng(address)


@dataclass(kw_only=True)
class Faces:
    """What a sampler knows of the faces it may draw from: arrays, since there may be millions."""

    label: NDArray[np.int8]  # (F,)
    size: NDArray[np.int64]  # (F,) clips that can be cut from each
    number_of: Callable[[int], int]  # a number for the video that a face is in
    source: NDArray[np.int64]  # (F,) the same number for real and fake of one source clip
    starts: Callable[[int], NDArray[np.int64]]  # first frame of each clip of a face
    all_starts: Callable[[], tuple[Numbers, Numbers]]  # face and first frame of all clips there are
    length: int = 1  # frames of a clip
    every: int = 1  # step from one frame of a clip to the next
    set_index: NDArray[np.int64] | None = None  # (F,) number of the set of each, where there are several

    def __len__(self) -> int:
        return len(self.label)

    @property
    def set_of_each(self) -> NDArray[np.int64]:
        """(F,) its number, 0 where there is one set."""
        return np.zeros(len(self), np.int64) if self.set_index is None else self.set_index

    def clip(self, start: int) -> tuple[int, ...]:
        return tuple(range(int(start), int(start) + self.length * self.every, self.every))


def slots(count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of each face to (face, number within the face), one entry per clip."""
    face = np.repeat(np.arange(len(count)), count)
    return face, np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)


class EvalSampler(DistributedSampler[Address]):
    """Evenly spaced clips of every face, always the same; dealt to the ranks in turn."""

    def __init__(self, faces: Faces, clips: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(faces, num_replicas=world_size, rank=rank)  # type: ignore[arg-type]
        self.faces = faces
        self.face, self.place = slots(np.minimum(faces.size, clips))
        self.clips = clips

    def address(self, i: int) -> Address:
        face, starts = int(self.face[i]), self.faces.starts(int(self.face[i]))
        return Address(face, self.faces.clip(starts[space_evenly(len(starts), self.clips)[self.place[i]]]))

    def __iter__(self) -> Iterator[Address]:
        # every rank takes the same number of steps, or those that wait for each other hang
        for i in range(self.rank, len(self) * self.num_replicas, self.num_replicas):
            yield self.address(i) if i < len(self.face) else self.address(0)._replace(is_counted=False)

    def __len__(self) -> int:
        return -(-len(self.face) // self.num_replicas)


class TrainSampler(DistributedSampler[Address]):
    """Other clips of every face in every epoch, real and fake alike in number.

    Of several sets, the real clips of an epoch are shared by weight among the sets that have real ones, the fake clips
    among those that have fakes. An epoch is as long as no set needs to be cut short: the one that is largest for its
    weight is gone through as if it were alone, the others several times, and a clip comes twice once a face has no
    other.
    """

    def __init__(
        self,
        faces: Faces,
        clips_per_face: int,
        batch: int,
        seed: int,
        balance: bool = True,
        pairs: bool = False,
        run: int = 1,
        rank: int = 0,
        world_size: int = 1,
        weights: Sequence[float] = (1.0,),
    ) -> None:
        """
        Args:
            faces: Faces that may be drawn.
            clips_per_face: Clips per face and epoch.
            batch: Samples per step on all ranks together; what does not fill a step is left out.
            seed: Seed of the draws and their order.
            balance: The rarer class gives more different clips, and the other is thinned to match.
            pairs: A fake is followed by the same frames of its source.
            run: Draws of one face that are near each other, so that its video is decoded once for them: as many batches
                in a row show the same faces, each another clip.
            weights: Weights of the sets.
        """
        super().__init__(faces, num_replicas=world_size, rank=rank, seed=seed)  # type: ignore[arg-type]
        self.faces, self.clips_per_face, self.batch = faces, clips_per_face, batch
        self.balance, self.pairs, self.run = balance, pairs, run
        self.weights = np.array(weights, float)
        self.set_index = faces.set_of_each

    def count_clips(self) -> NDArray[np.int64]:
        """(F,) clips that each face gives in an epoch."""
        sets = [self.set_index == i for i in range(len(self.weights))]
        count = np.sum([self.count_clips_alone(mine) for mine in sets], 0)
        if len(sets) == 1:
            return count
        classes = (
            [self.faces.label == label for label in (0, 1)]
            if self.balance and not self.pairs
            else [self.set_index >= 0]
        )
        cells = [[mine & of_class for mine in sets] for of_class in classes]
        totals = np.array([[count[cell].sum() for cell in row] for row in cells])  # (classes, sets)
        shares = self.weights * (totals > 0)
        shares /= np.maximum(shares.sum(1, keepdims=True), 1e-12)
        length = (totals / np.where(totals > 0, shares, np.inf)).max()  # clips of a class
        for row, wanted in zip(cells, np.floor(shares * length + 0.5).astype(int), strict=True):
            for cell, total in zip(row, wanted, strict=True):
                count = spread(count, cell, total, generator(self.seed, self.epoch, 4))
        return count

    def count_clips_alone(self, mine: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(F,) clips that each face of a set gives if there is no other set, 0 for all others."""
        if self.pairs:
            return np.minimum(self.shared, self.clips_per_face) * mine
        is_fake = self.faces.label == 1
        size = self.faces.size * mine
        members = np.array([(mine & ~is_fake).sum(), (mine & is_fake).sum()])
        asked = np.full(2, self.clips_per_face)
        if self.balance:
            asked = -(-int(members.max()) * self.clips_per_face // np.maximum(members, 1))
        count = np.minimum(size, asked[is_fake.astype(int)])
        totals = np.array([count[~is_fake].sum(), count[is_fake].sum()])
        if self.balance and totals.all():
            larger = int(totals.argmax())
            count = thin(count, mine & (is_fake == larger), int(totals.min()), generator(self.seed, self.epoch))
        return count

    @functools.cached_property
    def partner(self) -> NDArray[np.int64]:
        """(F,) real face of the same source as each fake one, -1 where there is none."""
        label, source = self.faces.label, self.faces.source
        real = np.flatnonzero(label == 0)
        real_of = np.full(source.max(initial=-1) + 1, -1)
        real_of[source[real]] = real
        return np.where(label == 1, real_of[source], -1)

    @functools.cached_property
    def shared(self) -> NDArray[np.int64]:
        """(F,) clips that a fake and its source both have."""
        face, start = self.faces.all_starts()
        is_fake = self.partner[face] >= 0
        real = combine(face[~is_fake], start[~is_fake])
        face, start = face[is_fake], start[is_fake]
        return np.bincount(face[find_sorted(combine(self.partner[face], start), real)], minlength=len(self.faces))

    def find_shared(self, i: int) -> NDArray[np.int64]:
        return np.intersect1d(self.faces.starts(i), self.faces.starts(int(self.partner[i])))

    def order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(face, number of the draw) of every unit of this epoch, in order; a pair is one unit."""
        count = self.count_clips()
        face, number = slots(count)
        runs = -(-count // self.run)
        shuffled = generator(self.seed, self.epoch, 1).permutation(runs.sum())
        turn = np.argsort(shuffled)[(np.cumsum(runs) - runs)[face] + number // self.run]
        # the first draws of as many runs as a step has units, then their second ones, then those of other runs
        step, within = np.divmod(turn, self.batch // self.unit)
        order = np.lexsort((within, number % self.run, step))[: self.units]
        return face[order], number[order]

    @property
    def unit(self) -> int:
        """Samples that are drawn together."""
        return 2 if self.pairs else 1

    @functools.cached_property
    def units(self) -> int:
        """Pairs or clips in an epoch, whole steps only; the same in every one."""
        return int(self.count_clips().sum()) * self.unit // self.batch * self.batch // self.unit

    def draw(self, i: int, number: int) -> Iterator[Address]:
        starts = self.find_shared(i) if self.pairs else self.faces.starts(i)
        # all draws of a face are one shuffle of its clips, then another: none comes twice before all have come
        times, place = divmod(number, len(starts))
        again = (times,) if times else ()
        start = generator(self.seed, self.epoch, 2, self.faces.number_of(i), *again).permutation(starts)[place]
        yield Address(i, self.faces.clip(start), epoch=self.epoch)
        if self.pairs:
            yield Address(int(self.partner[i]), self.faces.clip(start), epoch=self.epoch)

    def __iter__(self) -> Iterator[Address]:
        face, number = self.order()
        for i in range(self.rank, len(face), self.num_replicas):
            yield from self.draw(int(face[i]), int(number[i]))

    def __len__(self) -> int:
        return self.units * self.unit // self.num_replicas


def thin(count: NDArray[np.int64], where: NDArray[np.bool_], total: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Takes clips away at random from some faces until those give ``total``."""
    face = np.repeat(np.flatnonzero(where), count[where])
    kept = rng.permutation(len(face))[:total]
    out = count.copy()
    out[where] = np.bincount(face[kept], minlength=len(count))[where]
    return out


def spread(
    count: NDArray[np.int64], where: NDArray[np.bool_], total: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Lets some faces give ``total`` clips, each in the proportion that it gives."""
    now = int(count[where].sum())
    if not now:
        return count
    times, rest = divmod(total, now)
    return np.where(where, count * times + thin(count, where, rest, rng), count)
