"""What the data of a training leave in its checkpoints, and get back from them."""

from __future__ import annotations

import functools
from typing import Any

import pyarrow.compute as pc
from pytorch_lightning import LightningDataModule

from datamodules import manifest
from datamodules.annotation.annotated_faces import AnnotatedFaces, AskedMasks
from datamodules.leaks.fingerprints import Fingerprints, read_fingerprints, take_fingerprints, unite_fingerprints
from datamodules.leaks.shared import SharedSet, SharedVideo, TestedSet, find_shared
from datamodules.loading.set_group import SetGroup
from datamodules.prepared import contract as contracts
from datamodules.prepared.contract import Contract
from datamodules.prepared.trained_on import SeenSet, count_seen, read_seen, unite_seen, write_seen
from datamodules.synthesis.base import Synthesis


class RemembersTraining(LightningDataModule):
    """What of a training a test needs to know; a test keeps that of the checkpoint it has loaded."""

    group: SetGroup
    synthesis: Synthesis | None
    annotated_faces: AnnotatedFaces | None
    frame_source: str
    trained_on: list[str] | None = None  # so that a report can tell seen from unseen
    seen: list[SeenSet] | None = None
    asked: AskedMasks | None = None
    fingerprints: list[Fingerprints] | None = None  # of older checkpoints None
    fixed_by_set: dict[str, dict[str, float]] = {}  # noqa: RUF012  by validation, on each of several sets alone

    def seen_pixels(self) -> Contract:
        raise NotImplementedError

    def sees_only_real(self, split: str) -> bool:
        raise NotImplementedError

    def training_methods(self) -> list[str]:
        videos = self.group.videos("train", self.sees_only_real("train"))
        return sorted(pc.unique(manifest.join_columns(videos["dataset"], videos["method"])).to_pylist())

    def count_training(self) -> list[SeenSet]:
        videos = self.group.videos("train", self.sees_only_real("train"))
        return count_seen(videos, self.synthesis.makers if self.synthesis else ())

    @functools.cached_property
    def own_fingerprints(self) -> list[Fingerprints]:
        """Of the videos of training; taken once, when the first checkpoint is written."""
        out = []
        for one in self.group.select_having("train", self.sees_only_real("train")):
            videos = one.videos("train", self.sees_only_real("train"))
            out.append(take_fingerprints(one.title, one.prepared, videos, one.people))
        return out

    @functools.cached_property
    def shared_with_training(self) -> tuple[list[SharedSet], list[SharedVideo]] | None:
        """Of the test; None where the checkpoint does not know its training."""
        if self.fingerprints is None:
            return None
        sets: list[SharedSet] = []
        videos: list[SharedVideo] = []
        for one in self.group.select_having("test", only_real=False):
            mine = TestedSet(
                name=one.title, prepared=one.prepared, videos=one.videos("test", only_real=False), people=one.people
            )
            found = find_shared(mine, self.fingerprints)
            sets, videos = [*sets, *found[0]], [*videos, *found[1]]
        return sets, videos

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint, which a training alone writes."""
        size = int(self.group.contract["size"])
        stored = size if self.frame_source == "crops" else None  # of crops before image_size
        about: dict[str, Any] = {"contract": self.seen_pixels(), "stored": stored}
        # the checkpoint that a training began from may be of one on other data
        about |= {"seen": write_seen(unite_seen(self.seen or [], self.count_training()))}
        about |= {"trained_on": sorted({*(self.trained_on or []), *self.training_methods()})}
        prints = unite_fingerprints(self.fingerprints or [], self.own_fingerprints)
        about |= {"fingerprints": [one.to_state() for one in prints], "fixed_by_set": self.fixed_by_set}
        return about | ({} if self.annotated_faces is None else {"asked": self.annotated_faces.state().to_json()})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        contracts.compare(self.seen_pixels(), state_dict["contract"], "the data of the checkpoint", contracts.READ_BY)
        self.trained_on, self.seen = state_dict["trained_on"], read_seen(state_dict.get("seen"))
        self.asked = AskedMasks.from_json(state_dict["asked"]) if state_dict.get("asked") else None
        self.fingerprints = read_fingerprints(state_dict.get("fingerprints"))
        self.fixed_by_set = state_dict.get("fixed_by_set", {})
        if self.annotated_faces and self.asked:
            self.annotated_faces.remember(self.asked)
