"""The prepared sets of a training or a test, one or several, as if they were one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pytorch_lightning.utilities.rank_zero import rank_zero_warn

from datamodules import manifest
from datamodules.batch import BLENDED
from datamodules.loading.clips import Clips, join
from datamodules.loading.prepared_set import PreparedSet
from datamodules.loading.sampling import TrainSampler
from datamodules.loading.set_rules import check_sets
from datamodules.media.video import Decoder
from datamodules.prepared.contract import Contract
from datamodules.runtime.errors import UserError


class SetGroup:
    """What is drawn from together."""

    def __init__(self, sets: Sequence[PreparedSet] | None, alone: dict[str, Any]) -> None:
        """
        Args:
            alone: Arguments of the only set, where there is one.
        """
        given = [name for name, value in alone.items() if value is not None]
        if sets is not None and not sets:
            raise UserError("data.sets: is empty; give at least one set, or data.prepared")
        if sets is not None and given:
            raise UserError(f"data.{given[0]}: each of data.sets has its own; give one of the two")
        if sets is None and alone["prepared"] is None:
            raise UserError("data: give prepared, the folder that 'prepare' filled, or 'sets', several of them")
        self.sets = [PreparedSet(**{name: alone[name] for name in given})] if sets is None else list(sets)

    def __len__(self) -> int:
        return len(self.sets)

    def __str__(self) -> str:
        return ", ".join(str(one.prepared) for one in self.sets)

    @property
    def single_set(self) -> PreparedSet:
        """For what is done to one data set at a time."""
        if len(self.sets) > 1:
            raise UserError(f"data.sets: this takes one data set, not {len(self.sets)}; give it by --data FILE.yaml")
        return self.sets[0]

    @functools.cached_property
    def checked_sets(self) -> list[PreparedSet]:
        check_sets(self.sets)
        return self.sets

    @property
    def contract(self) -> Contract:
        """What decides pixels in it is the same in all."""
        return self.checked_sets[0].contract

    def select_having(self, split: str, only_real: bool) -> list[PreparedSet]:
        """All must have something to train on; to validate or test on, those that have are enough."""
        found = (
            self.checked_sets if split == "train" else [one for one in self.checked_sets if one.has(split, only_real)]
        )
        return found or self.checked_sets[:1]  # which says what it lacks

    def videos(self, split: str, only_real: bool) -> pa.Table:
        """Rows of the manifests."""
        return pa.concat_tables([one.videos(split, only_real) for one in self.select_having(split, only_real)])

    def clips(self, split: str, only_real: bool, size: int, decoder: Decoder | None, length: int, every: int) -> Clips:
        """
        Args:
            decoder: Reads the videos; without it, the stored crops are read.
        """
        parts = []
        for one in self.select_having(split, only_real):
            # in training one face a video: where a mask says which one is forged, the others would be mislabelled
            tracks = 1 if split == "train" else int(one.contract["tracks"])
            parts.append(one.clips(one.videos(split, only_real), tracks, size, decoder, length, every))
        clips = join(parts)
        clips.only_forged = split == "train"
        return clips

    @property
    def weights(self) -> list[float]:
        return [one.weight for one in self.sets]

    def check_drawn(self, *samplers: TrainSampler) -> None:
        """Refuses a set that a training would pass over in silence, and says where it is given little of fakes."""
        drawn = {i for sampler in samplers for i in sampler.set_index[sampler.count_clips() > 0].tolist()}
        if len(self) > 1 and (idle := [one for i, one in enumerate(self.sets) if i not in drawn]):
            raise UserError(f"{idle[0].prepared}: gives nothing to train on; leave it out of data.sets")
        self.check_classes(samplers)
        for sampler in samplers:
            if not len(sampler):
                batch = f"{sampler.batch // sampler.num_replicas} x {sampler.num_replicas} processes"
                raise UserError(f"{self}: fewer train samples than batch_size {batch}")
            if sampler.pairs:
                shared = sampler.shared[sampler.partner >= 0]
                if few := int((shared < sampler.clips_per_face).sum()):
                    what = f"{few} of {len(shared)} fakes have crops of fewer frames than clips_per_face in common"
                    rank_zero_warn(f"{self}: {what} with their real videos; prepare with more --frames")

    def check_classes(self, samplers: Sequence[TrainSampler]) -> None:
        """Refuses faces of a class none of which gives a clip: training would be of the other class alone."""
        if any(sampler.pairs for sampler in samplers):  # reals are counted with their fakes
            return
        label = np.concatenate([sampler.faces.label for sampler in samplers])
        clips = np.concatenate([sampler.count_clips() for sampler in samplers])
        for value, name in enumerate(("real", "forged")):
            faces = label == value
            if faces.any() and not clips[faces].any():
                lack = f"none of the {int(faces.sum())} {name} faces has a clip to train on"
                remedy = "prepare with more --frames: these may be none of the forged seconds, or too few for a clip"
                raise UserError(f"{self}: {lack}; {remedy}")

    @functools.cached_property
    def title_of_video(self) -> dict[str, str]:
        return {key: one.title for one in self.checked_sets for key in manifest.keys(one.released_rows).to_pylist()}

    def titles(self, videos: Sequence[str]) -> list[str]:
        """Of the set that each video is from, or that a forgery was made here of."""
        return [self.title_of_video[video.removesuffix(BLENDED)] for video in videos]
