"""The only way to masks in training: it counts them, and gives no more than its budget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from datamodules import manifest
from datamodules.annotation.request import RequestedFace
from datamodules.batch import Sample
from datamodules.media.image import binarize, resize
from datamodules.runtime.errors import UserError


def face_of(sample: Sample) -> RequestedFace:
    return RequestedFace(sample.video, sample.track, int(sample.numbers[0]))


class MaskOracle(ABC):
    def __init__(self, budget: int, allow_missing: bool = False) -> None:
        """
        Args:
            budget: Masks that may be asked for in all; the same one again is not counted.
            allow_missing: Go on without the masks that are missing, if there are any at all.
        """
        if budget < 1:
            raise UserError(f"budget {budget}: must be at least 1")
        self.budget, self.allow_missing = budget, allow_missing
        self.asked: set[RequestedFace] = set()

    def request(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples with their masks."""
        asked = self.asked | {face_of(sample) for sample in samples}
        if len(asked) > self.budget:
            raise UserError(f"masks: {len(asked)} were asked for, the budget is {self.budget}")
        known = [sample for sample in samples if self.can_answer(sample)]
        if len(known) < len(samples) and not (self.allow_missing and known):
            raise self.refuse([face_of(sample) for sample in samples if not self.can_answer(sample)], len(samples))
        self.asked = asked
        return [replace(sample, mask=self.answer(sample)) for sample in known]

    @abstractmethod
    def can_answer(self, sample: Sample) -> bool: ...

    def refuse(self, faces: Sequence[RequestedFace], of: int) -> UserError:
        """What is said where masks are missing, to be raised."""
        return Missing(faces, of)

    def check(self, videos: pa.Table) -> None:  # noqa: B027  people draw theirs later
        """Refuses videos of training whose masks, as far as is known before, it will lack."""

    @abstractmethod
    def answer(self, sample: Sample) -> Tensor:
        """(1, 1, H, W) uint8, 255 where forged."""


class Missing(UserError):
    """Masks that nobody has drawn yet."""

    def __init__(self, faces: Sequence[RequestedFace], of: int) -> None:
        super().__init__(f"masks: {len(faces)} of {of} are missing, the first is {faces[0].file!r}")


class DatasetMasks(MaskOracle):
    """Plays the person where the data set has masks."""

    def can_answer(self, sample: Sample) -> bool:
        return sample.mask is not None

    def refuse(self, faces: Sequence[RequestedFace], of: int) -> UserError:
        """Nobody is to be waited for."""
        return self.explain(faces[0].video, len(faces) < of)

    def check(self, videos: pa.Table) -> None:
        fakes = videos.filter(pc.field("label") == 1)
        bare = manifest.keys(fakes.filter(pc.field("mask") == "")).to_pylist()
        if bare and not (self.allow_missing and len(bare) < len(fakes)):
            raise self.explain(bare[0], len(bare) < len(fakes))

    @staticmethod
    def explain(video: str, are_some_there: bool) -> UserError:
        other = ", or go on without (--data.oracle.allow_missing true)" if are_some_there else ""
        return UserError(f"{video}: the data set has no mask of it; let people draw them (DrawnMasks){other}")

    def answer(self, sample: Sample) -> Tensor:
        assert sample.mask is not None
        return sample.mask


class DrawnMasks(MaskOracle):
    """Masks that 'python -m suite annotate import' has put into a folder."""

    def __init__(self, folder: Path, budget: int, allow_missing: bool = False) -> None:
        """
        Args:
            folder: Folder of mask images, white where forged, named as their faces.
            budget: Masks that may be asked for in all.
            allow_missing: Go on without the masks that are missing.
        """
        super().__init__(budget, allow_missing)
        self.folder = folder

    def path(self, sample: Sample) -> Path:
        return self.folder / face_of(sample).file

    def can_answer(self, sample: Sample) -> bool:
        return self.path(sample).is_file()

    def answer(self, sample: Sample) -> Tensor:
        mask = cv2.imdecode(np.fromfile(self.path(sample), np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise UserError(f"{self.path(sample)}: is not an image")
        return torch.from_numpy(binarize(resize(mask, sample.frames.shape[-1])))[None, None]
