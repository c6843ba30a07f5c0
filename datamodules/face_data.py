"""What a data set is to a training: one prepared folder or several, from which loaders draw faces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, final

import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from datamodules.annotation.annotated_faces import AnnotatedFaces, find_samples
from datamodules.annotation.oracle import MaskOracle
from datamodules.annotation.request import Choice, RequestedFace
from datamodules.augment.augment import Augment
from datamodules.batch import Sample, collate
from datamodules.batch_changes import ChangesBatches
from datamodules.issues import Finding
from datamodules.loading.clips import Clips, CropClips
from datamodules.loading.loader import BatchLoader, FetchLoader, begin_worker, collate_each
from datamodules.loading.options import check_options
from datamodules.loading.prepared_set import PreparedSet
from datamodules.loading.sampling import Address, EvalSampler, TrainSampler
from datamodules.loading.selection import AudioFakes
from datamodules.loading.set_group import SetGroup
from datamodules.loading.set_rules import pixels_of
from datamodules.manifest import Video
from datamodules.media.video import Auto, Decoder
from datamodules.prepared import contract as contracts
from datamodules.prepared.contract import Contract
from datamodules.remembered_training import RemembersTraining
from datamodules.runtime.errors import UserError
from datamodules.synthesis.base import Synthesis
from datamodules.synthesis.nearest_faces import WithSources
from datamodules.synthesis.true_fakes import MixedSampler

LONGEST_RUN = 4  # batches in a row that show the same videos


@final  # its arguments are options of their own, without a class path
class FaceData(RemembersTraining, ChangesBatches):
    """A data set: what its owners ship, what was prepared of it, and what happens to a batch on the device."""

    def __init__(
        self,
        prepared: Path | None = None,
        root: Path | None = None,
        index: Callable[[Path], Iterable[Video]] | None = None,
        compression: str | None = None,
        methods: list[str] | None = None,
        split: float | None = None,
        audio_fakes: AudioFakes | None = None,
        frame_source: Literal["crops", "videos"] = "crops",
        decoder: Decoder | None = None,
        image_size: int | None = None,
        clip: int = 1,
        every: int = 1,
        clips_per_face: int = 8,
        train_clips: int | None = None,
        eval_clips: int = 32,
        batch_size: int = 32,
        num_workers: int = 2,
        balance: bool = True,
        pairs: bool = False,
        seed: int = 0,
        synthesis: Synthesis | None = None,
        augment: Augment | None = None,
        oracle: MaskOracle | None = None,
        annotated_per_batch: int = 8,
        sets: list[PreparedSet] | None = None,
        true_fakes: float = 0.0,
        val_augmented: float = 0.0,
    ) -> None:
        """
        Args:
            prepared: Folder that 'python -m suite prepare' filled.
            root: Folder of the data set as its owners ship it, for 'prepare', 'doctor' and reading videos.
            index: Lists the videos in root, for instance datamodules.datasets.ffpp.index.
            compression: Only videos of this release, for instance c23.
            methods: Manipulations used for training and validation: all if unset, none if []. Testing uses all.
            split: Share of the people for training, of a data set without splits; the others validate and test.
            audio_fakes: Real videos with forged sound count as real, as if unset, or are left out (leave_out).
            frame_source: Stored crops, or the videos in root, which clips of several frames need.
            decoder: Reads the videos; without it decord, or PyAV where decord would be wrong: the bits are the same.
            image_size: Side of the crop, in pixels; as prepared without it.
            clip: Frames per sample; more than one needs 'frame_source: videos'.
            every: Step from one frame of a clip to the next.
            clips_per_face: Clips per face and epoch in training.
            train_clips: Evenly spaced clips per face that they are drawn from; all if unset.
            eval_clips: Evenly spaced clips per face in validation and testing.
            batch_size: Samples per step and device.
            num_workers: Loader processes; the samples do not depend on it.
            balance: Draw as many real as fake clips, from the rarer class more different ones.
            pairs: Each fake is followed by the same frames of the real video it was made from.
            seed: Seed of the random draws; set by seed_everything.
            synthesis: Makes forgeries of real faces, on the device; batch_size then counts the real ones.
            augment: Changes training batches on the device; none without it.
            oracle: Source of masks for active learning; all masks are known if unset.
            annotated_per_batch: Faces with such a mask that join each batch, once there are any.
            sets: Several data sets, each with what is above of one, and weight, name and people, instead.
            true_fakes: Share of true forgeries among the forged faces of a training batch, beside those of synthesis.
            val_augmented: Share of validation's faces, each with its forgery, that augment changes, too: thresholds
                then hold for media of lower quality as well.
        """
        super().__init__()
        single: dict[str, Any] = {"prepared": prepared, "root": root, "index": index, "compression": compression}
        self.group = SetGroup(sets, single | {"methods": methods, "split": split, "audio_fakes": audio_fakes})
        self.frame_source, self.decoder = frame_source, decoder or Auto()
        self.asked_size, self.clip, self.every, self.clips_per_face = image_size, clip, every, clips_per_face
        self.train_clips, self.eval_clips, self.batch_size = train_clips, eval_clips, batch_size
        self.num_workers, self.balance, self.pairs, self.seed = num_workers, balance, pairs, seed
        self.synthesis, self.augment, self.true_fakes, self.val_augmented = (
            synthesis,
            augment,
            true_fakes,
            val_augmented,
        )
        self.true_count = round(true_fakes * batch_size)
        self.annotated_faces = None if oracle is None else AnnotatedFaces(oracle, annotated_per_batch)
        check_options(self)

    @property
    def contract(self) -> Contract:
        return self.group.contract

    @property
    def prepared(self) -> Path:
        return self.group.single_set.prepared

    @property
    def root(self) -> Path | None:
        return self.group.single_set.root

    def setup(self, stage: str) -> None:
        for one in self.group.checked_sets:
            contracts.load(one.prepared)  # missing data is an error before anything is built
        if self.trainer is not None and self.trainer.overfit_batches:  # type: ignore[attr-defined]
            raise UserError("overfit_batches: replaces the sampler; use limit_train_batches, or fewer clips_per_face")
        if stage == "fit" and self.trainer is not None and self.trainer.limit_val_batches:
            for split in ("train", "val"):  # those of the first validation may be asked for hours later
                self.videos(split)

    @property
    def image_size(self) -> int:
        return self.asked_size or int(self.contract["size"])

    def list_dataset(self) -> tuple[list[Video], list[Finding]]:
        return self.group.single_set.list_videos()

    def sees_only_real(self, split: str) -> bool:
        return self.synthesis is not None and split != "test" and not self.true_fakes

    def videos(self, split: str) -> pa.Table:
        return self.group.videos(split, self.sees_only_real(split))

    def clips(self, split: str) -> Clips:
        clips = self.clips_with_masks(split)
        clips.hides_masks = self.annotated_faces is not None and split != "test"
        return clips

    def clips_with_masks(self, split: str) -> Clips:
        decoder = self.decoder if self.frame_source == "videos" else None
        return self.group.clips(split, self.sees_only_real(split), self.image_size, decoder, self.clip, self.every)

    def loader(
        self, clips: Clips, sampler: Sampler[Address], synthesis: Synthesis | None, together: int = 1
    ) -> DataLoader[Sample]:
        """
        Args:
            together: Batches that are fetched at once.
        """
        faces: Dataset[Sample] = clips
        if synthesis is not None and synthesis.neighbours:
            assert isinstance(clips, CropClips)
            faces = WithSources(clips, synthesis.neighbours, synthesis.candidates, self.seed)
        size = self.batch_size + self.true_count * isinstance(sampler, MixedSampler)
        kind, collation = (BatchLoader, collate) if together == 1 else (FetchLoader, partial(collate_each, size))
        return kind(
            dataset=faces,  # by name: Lightning builds it again to predict
            batch_size=size * together,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collation,
            generator=torch.Generator(),  # its own: torch's would lose a draw to it, which dropout then lacks
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
            worker_init_fn=begin_worker,
            multiprocessing_context=self.start_of_workers if self.num_workers else None,
        )

    @property
    def start_of_workers(self) -> str:
        """How they begin: as children of this process, which end with it; those of a fork server would not."""
        is_forked = self.decoder.device.type == "cpu" and sys.platform == "linux"  # CUDA does not survive a fork
        return "fork" if is_forked else "spawn"

    @property
    def rank_and_world(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def train_dataloader(self) -> DataLoader[Sample]:
        clips = self.clips("train")
        rank, world = self.rank_and_world
        if self.true_fakes:
            settings = self.clips_per_face, self.batch_size, self.true_count, self.seed, rank, world, self.group.weights
            mixed = MixedSampler.create(clips.faces(self.train_clips), *settings)
            self.group.check_drawn(mixed.blended, mixed.whole, mixed.fakes)
            return self.loader(clips, mixed, self.synthesis)
        sampler = TrainSampler(
            clips.faces(self.train_clips),
            self.clips_per_face,
            self.batch_size * world,
            self.seed,
            balance=self.balance,
            pairs=self.pairs,
            run=self.run,
            rank=rank,
            world_size=world,
            weights=self.group.weights,
        )
        self.group.check_drawn(sampler)
        return self.loader(clips, sampler, self.synthesis, together=self.run)

    @property
    def run(self) -> int:
        """Clips of a video that are read at once in training, and so batches that are fetched together."""
        return min(self.clips_per_face, LONGEST_RUN) if self.frame_source == "videos" else 1

    def eval_loader(self, split: str) -> DataLoader[Sample]:
        clips = self.clips(split)
        sampler = EvalSampler(clips.faces(self.eval_clips), self.eval_clips, *self.rank_and_world)
        return self.loader(clips, sampler, self.synthesis if split == "val" else None)

    def val_dataloader(self) -> DataLoader[Sample]:
        return self.eval_loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        return self.eval_loader("test")

    predict_dataloader = test_dataloader

    def candidates(self, each: int) -> DataLoader[Sample]:
        """Evenly spaced frames of every face of training, always the same."""
        clips = self.clips("train")
        return self.loader(clips, EvalSampler(clips.faces(each), each), None)

    def samples(self, faces: Sequence[RequestedFace]) -> list[Sample]:
        """Faces of training, without masks where these have to be asked for."""
        return find_samples(self.clips("train"), faces)

    def ask(self, faces: Sequence[RequestedFace], choice: Choice) -> None:
        """Asks the oracle for masks, which join the batches from now on."""
        assert self.annotated_faces is not None
        self.annotated_faces.ask(find_samples(self.clips_with_masks("train"), faces), choice)

    def seen_pixels(self) -> Contract:
        """What decides the pixels that a network gets: how they are stored, and how many, does not."""
        pixels = pixels_of(self.contract) | {"size": self.image_size, "clip": self.clip, "every": self.every}
        return pixels | ({"decoder": self.decoder.family} if self.frame_source == "videos" else {})
