"""One prepared folder, and what of it is wanted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datamodules import manifest
from datamodules.faces.align import Cropper
from datamodules.issues import Finding
from datamodules.loading.clips import Clips, CropClips, VideoClips
from datamodules.loading.selection import AudioFakes, apply_rule, count_audio_fakes, describe_rule, select_rows
from datamodules.loading.split import draw_split
from datamodules.manifest import Video
from datamodules.media.image import HALF
from datamodules.media.video import Decoder
from datamodules.prepared import checksums
from datamodules.prepared import contract as contracts
from datamodules.prepared.contract import Contract
from datamodules.runtime.errors import UserError


@dataclass(kw_only=True, eq=False)
class PreparedSet:
    """One of several sets.

    Args:
        prepared: Folder that 'python -m suite prepare' filled.
        root: Folder of the data set as its owners ship it, for reading videos.
        index: Lists the videos in root; 'prepare' and 'doctor' take one data set, without 'sets'.
        compression: Only videos of this release, for instance c23.
        methods: Manipulations used for training and validation: all if unset, none if []. Testing uses all.
        weight: Share of this set in the real clips of an epoch, over the weights of all sets that have real ones, and
            in the fake clips likewise.
        name: Name of its metrics; the data set's name if unset.
        people: Whose people these are; sets of the same people share their identities. The data set's name without it.
        split: Share of the people for training, of a data set that has no splits; the others are for validation and
            testing.
        audio_fakes: Real videos with forged sound count as real, or are left out.
    """

    prepared: Path
    root: Path | None = None
    index: Callable[[Path], Iterable[Video]] | None = None
    compression: str | None = None
    methods: list[str] | None = None
    weight: float = 1.0
    name: str | None = None
    people: str | None = None
    split: float | None = None
    audio_fakes: AudioFakes = "real"

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise UserError(f"{self.prepared}: weight {self.weight:g}: must be above 0; leave out a set without weight")
        if self.name is not None and (not self.name or "/" in self.name):
            raise UserError(
                f"{self.prepared}: name {self.name!r}: must be a word without '/', as in val/NAME/video_auroc"
            )

    @functools.cached_property
    def contract(self) -> Contract:
        return contracts.load(self.prepared)

    @functools.cached_property
    def listed_rows(self) -> pa.Table:
        """Rows of the manifest, with real videos under forged sound whatever is done with them."""
        return manifest.read(checksums.check(self.prepared, "manifest.csv"))

    @property
    def audio_rule(self) -> str:
        """What is done with real videos under forged sound; empty where there are none."""
        count = count_audio_fakes(self.listed_rows)
        return f"{self.title}: {describe_rule(count, self.audio_fakes)}" if count else ""

    @property
    def split_rule(self) -> str:
        """How many videos a drawn split leaves out; empty where it leaves out none."""
        count = len(self.heard_rows)
        lost = count - len(self.manifest)
        return f"{self.title}: {lost} of {count} videos show people of two splits and are left out" if lost else ""

    @property
    def heard_rows(self) -> pa.Table:
        """Without real videos under forged sound where these are left out."""
        rows = self.listed_rows
        return rows if self.audio_fakes == "real" else rows.filter(pc.field("modality") != "audio")

    @functools.cached_property
    def manifest(self) -> pa.Table:
        rows = self.heard_rows
        return rows if self.split is None else draw_split(rows, self.split, self.prepared)

    @functools.cached_property
    def title(self) -> str:
        """What it is called."""
        return self.name or "+".join(sorted(pc.unique(self.released_rows["dataset"]).to_pylist()))

    @functools.cached_property
    def released_rows(self) -> pa.Table:
        """Rows of the manifest, of the release that is wanted."""
        wanted = self.compression
        return self.manifest if wanted is None else self.manifest.filter(pc.field("compression") == wanted)

    def list_videos(self) -> tuple[list[Video], list[Finding]]:
        """What lies in root, prepared or not, and the issues found there."""
        if self.index is None or self.root is None:
            raise UserError("give the data set's folder (--data.root) and what lists it (--data.index)")
        listed, findings = manifest.list_dataset(self.root, self.index, self.compression)
        rows, said = apply_rule(listed, self.audio_fakes)
        return rows, findings + said

    def has(self, split: str, only_real: bool) -> bool:
        videos = self.released_rows
        wanted = pc.field("split") == split
        return bool(len(videos.filter(wanted & (pc.field("label") == 0) if only_real else wanted)))

    def videos(self, split: str, only_real: bool) -> pa.Table:
        """Rows of the manifest."""
        methods = None if split == "test" else self.methods
        return select_rows(self.manifest, self.prepared, split, self.compression, methods, only_real)

    def clips(
        self, videos: pa.Table, tracks: int, size: int, decoder: Decoder | None, length: int, every: int
    ) -> Clips:
        """
        Args:
            tracks: Faces per video at most.
            decoder: Reads the videos in root; without it, the stored crops are read.
        """
        if decoder is None:
            return CropClips(self.prepared, videos, size, tracks)
        assert self.root is not None
        cropper = Cropper.from_contract(self.contract)
        found = VideoClips(self.prepared, self.root, videos, decoder, size, cropper, tracks, length, every)
        found.mask_thresholds = [int(self.contract.get("mask_threshold", HALF))]
        return found
