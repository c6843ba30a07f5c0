"""Batches in which true forgeries stand beside those that a synthesis makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch.utils.data import DistributedSampler

from datamodules.batch import Batch, join, names_forgery
from datamodules.loading.sampling import Address, Faces, TrainSampler
from datamodules.synthesis.base import Synthesis


class MixedSampler(DistributedSampler[Address]):
    """In each batch of a rank first the real faces that are asked for, then the true fakes."""

    def __init__(self, reals: TrainSampler, fakes: TrainSampler, real: int, fake: int) -> None:
        """
        Args:
            reals: Says how long an epoch is.
            fakes: True fakes, repeated as often as it takes.
            real: Real faces in a batch.
            fake: Fakes in a batch.
        """
        super().__init__(reals, num_replicas=reals.num_replicas, rank=reals.rank)  # type: ignore[arg-type]
        self.reals, self.fakes, self.real, self.fake = reals, fakes, real, fake

    @classmethod
    def create(
        cls,
        faces: Faces,
        clips_per_face: int,
        real: int,
        fake: int,
        seed: int,
        rank: int,
        world_size: int,
        weights: Sequence[float],
    ) -> MixedSampler:
        """
        Args:
            faces: Real and fake; the sets share each kind by weight.
        """
        each = []
        for label, count in ((0, real), (1, fake)):
            mine = replace(faces, size=np.where(faces.label == label, faces.size, 0))
            about = {"balance": False, "rank": rank, "world_size": world_size, "weights": weights}
            each.append(TrainSampler(mine, clips_per_face, count * world_size, seed, **about))  # type: ignore[arg-type]
        return cls(each[0], each[1], real, fake)

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.reals.set_epoch(epoch)

    def all_fakes(self) -> Iterator[Address]:
        """Without end; a pass over them is an epoch of theirs, at another place in each epoch of the reals."""
        passes = -(-len(self) * self.fake // ((self.real + self.fake) * len(self.fakes)))
        for i in range(self.epoch * passes, (self.epoch + 1) * passes):
            self.fakes.set_epoch(i)
            yield from (one._replace(epoch=self.epoch) for one in self.fakes)

    def __iter__(self) -> Iterator[Address]:
        reals, fakes = iter(self.reals), self.all_fakes()
        for _ in range(len(self.reals) // self.real):
            yield from islice(reals, self.real)
            yield from islice(fakes, self.fake)

    def __len__(self) -> int:
        return len(self.reals) // self.real * (self.real + self.fake)


def names_of(batch: Batch) -> list[str]:
    """Of each frame."""
    known = zip(batch.video, batch.track.tolist(), batch.numbers[:, 0].tolist(), strict=True)
    return [f"{video} {track} {number}" for video, track, number in known]


def mix(synthesis: Synthesis, batch: Batch, seeds: Sequence[int] | None = None, only_some: bool = True) -> Batch:
    """Real faces, true fakes and forgeries made here; in all as many forged as real ones if only some are made.

    Args:
        batch: Real faces and fakes, then, where the synthesis has sources, one for each real face.
        seeds: One for each row.
        only_some: Make no forgery of as many real faces as there are true fakes.
    """
    if not any(map(names_forgery, batch.video)):  # the label is on a device, which would be waited for
        return synthesis(batch, seeds)
    fakes = [i for i, video in enumerate(batch.video) if names_forgery(video)]
    shown = (len(batch) + len(fakes)) // 2 if synthesis.neighbours else len(batch)
    reals = sorted(set(range(shown)) - set(fakes))
    count = len(reals) - len(fakes) if only_some else len(reals)
    sources = list(range(shown, shown + count)) if synthesis.neighbours else []
    whole = reals[count:] + fakes
    parts = []
    if count:
        chosen = None if seeds is None else [seeds[i] for i in reals[:count]]
        parts.append(synthesis(batch.rows(torch.tensor(reals[:count] + sources)), chosen))
    if whole:
        parts.append(synthesis.show(batch.rows(torch.tensor(whole))))
    return join(parts)
