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
    """In each batch of a rank first real faces that are to be forged here, then whole ones and as many true fakes.

    The whole ones are of the sets that the fakes are of: else the look of a set would tell that a face is forged.
    """

    def __init__(self, blended: TrainSampler, whole: TrainSampler, fakes: TrainSampler) -> None:
        """
        Args:
            blended: Draws the real faces that are to be forged, and says how long an epoch is.
            whole: Draws as many as fakes in a batch, repeated as often as it takes.
            fakes: Likewise.
        """
        super().__init__(blended, num_replicas=blended.num_replicas, rank=blended.rank)  # type: ignore[arg-type]
        self.blended, self.whole, self.fakes = blended, whole, fakes

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
            real: Real faces in a batch of a rank.
            fake: Fakes in it.
        """
        is_fake = faces.label == 1
        beside = ~is_fake & np.isin(faces.set_of_each, faces.set_of_each[is_fake])
        each = []
        kinds = ((~is_fake, real - fake), (beside if beside.any() else ~is_fake, fake), (is_fake, fake))
        for i, (chosen, count) in enumerate(kinds):
            mine = replace(faces, size=np.where(chosen, faces.size, 0))
            about = {"balance": False, "rank": rank, "world_size": world_size, "weights": weights}
            # of one seed, the whole faces would be those that are forged
            own = int(np.random.SeedSequence([seed, i]).generate_state(1)[0])
            each.append(TrainSampler(mine, clips_per_face, count * world_size, own, **about))  # type: ignore[arg-type]
        return cls(*each)

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.blended.set_epoch(epoch)

    @property
    def counts(self) -> tuple[int, int]:
        """Of a batch of a rank: real faces that are to be forged, and fakes."""
        return self.blended.batch // self.num_replicas, self.fakes.batch // self.num_replicas

    def repeat(self, sampler: TrainSampler) -> Iterator[Address]:
        """Without end; a pass is an epoch of the sampler, at another place in each epoch of this one."""
        passes = -(-self.steps * self.counts[1] // len(sampler))
        for i in range(self.epoch * passes, (self.epoch + 1) * passes):
            sampler.set_epoch(i)
            yield from (one._replace(epoch=self.epoch) for one in sampler)

    def __iter__(self) -> Iterator[Address]:
        blended, whole, fakes = iter(self.blended), self.repeat(self.whole), self.repeat(self.fakes)
        own, fake = self.counts
        for _ in range(self.steps):
            yield from islice(blended, own)
            yield from islice(whole, fake)
            yield from islice(fakes, fake)

    @property
    def steps(self) -> int:
        return len(self.blended) // self.counts[0]

    def __len__(self) -> int:
        return self.steps * (self.counts[0] + 2 * self.counts[1])


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
