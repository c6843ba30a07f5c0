"""What is kept of some videos of each manipulation while a split is watched, and written when it ends."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, TypeVar

from pytorch_lightning import Callback, LightningModule, Trainer

from datamodules.batch import BLENDED, Batch, names_forgery
from lightning_modules.base import Outcome

Item = TypeVar("Item")


def kind_of(key: str) -> str:
    """The manipulation that a video's key names."""
    return "blended" if key.endswith(BLENDED) else key.split("/")[1]


class Gallery(Callback, Generic[Item]):
    """One item for each of the first videos of the first manipulations."""

    def __init__(self, videos_per_method: int, max_methods: int) -> None:
        """
        Args:
            videos_per_method: Videos of a manipulation.
            max_methods: Manipulations at the most, the reals counted in.
        """
        self.videos_per_method, self.max_methods = videos_per_method, max_methods
        self.kept: dict[str, dict[str, Item]] = {}  # by manipulation, then by video

    def is_wanted(self, outcome: Outcome, batch: Batch) -> bool:
        """Whether anything is kept of such batches."""
        return True

    @abstractmethod
    def item(self, outcome: Outcome, batch: Batch, i: int, kind: str) -> Item: ...

    @abstractmethod
    def write(self, trainer: Trainer, split: str, kept: dict[str, dict[str, Item]]) -> None: ...

    def collect(self, outcome: Outcome, batch: Batch) -> None:
        if not self.is_wanted(outcome, batch):
            return
        for i, (key, label) in enumerate(zip(batch.video, batch.label.tolist(), strict=True)):
            kind = kind_of(key)
            if names_forgery(key) and not label:
                kind += " outside its segments"
            if kind not in self.kept and len(self.kept) >= self.max_methods:
                continue
            kept = self.kept.setdefault(kind, {})
            if len(kept) < self.videos_per_method and key not in kept:
                kept[key] = self.item(outcome, batch, i, kind)

    def finish(self, trainer: Trainer, split: str) -> None:
        kept, self.kept = self.kept, {}
        if any(kept.values()) and trainer.is_global_zero and not trainer.sanity_checking and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.write(trainer, split, kept)

    def on_validation_batch_end(
        self, trainer: Trainer, m: LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        self.collect(outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.finish(trainer, "val")

    def on_test_batch_end(self, trainer: Trainer, m: LightningModule, outputs: Any, batch: Batch, *_: Any) -> None:
        self.collect(outputs, batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.finish(trainer, "test")
