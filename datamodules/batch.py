"""The types that cross from data to methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

POINTS = 68
BLENDED = "#blended"  # ends the key of a forgery that a synthesis made


def video_id(name: str) -> int:
    """A number for a name that is the same in every process; ``hash`` is not."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big")


def names_forgery(key: str) -> bool:
    """Whether the key of a video says that it is forged, be it only in parts."""
    return key.endswith(BLENDED) or key.split("/", 2)[1:2] not in ([], ["real"])


@dataclass(kw_only=True, slots=True)
class Sample:
    """One clip of one face, as a dataset returns it. A still is a clip with ``T = 1``."""

    frames: Tensor  # (T, 3, H, W) uint8
    label: int  # 0 real, 1 fake; 0 also outside the forged segments of a fake video
    mask: Tensor | None  # (T, 1, H, W) uint8, 255 is forged; None where the data set has none
    landmarks: Tensor | None  # (T, 68, 2) float, pixels of the crop
    video: str  # key of the manifest
    track: int
    numbers: Tensor  # (T,) int64, frame numbers in the video
    people: str = ""  # in the video, separated by spaces
    is_counted: bool = True  # False for a copy that only fills the last step of a rank


@dataclass(kw_only=True, slots=True)
class Batch:
    """B samples stacked."""

    frames: Tensor  # (B, T, 3, H, W), uint8 from the loader, float in [0, 1] on the device
    label: Tensor  # (B,) int64
    mask: Tensor  # (B, T, 1, H, W), uint8 from the loader, float in [0, 1] on the device; zeros where has_mask is False
    has_mask: Tensor  # (B,) bool
    landmarks: Tensor  # (B, T, 68, 2) float, pixels; zeros where has_landmarks is False
    has_landmarks: Tensor  # (B,) bool, always on the CPU: what asks for it does not wait for a GPU
    video: list[str]
    track: Tensor  # (B,) int64
    numbers: Tensor  # (B, T) int64
    is_counted: Tensor  # (B,) bool, metrics pass over the others
    people: list[str] = field(default_factory=list)  # of each video, separated by spaces
    boundary: Tensor | None = None  # (B, T, 1, h, w) uint8 from synthesis, 255 where a blend is half and half
    framed: bool = False  # whether a synthesis has left of each crop what the method is to be shown

    def __len__(self) -> int:
        return len(self.label)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tensors = {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
        return replace(self, **{name: change(tensor) for name, tensor in tensors.items()})  # type: ignore[arg-type]

    def rows(self, chosen: Tensor) -> Batch:
        """Some samples of it, by their places."""
        out = self.map(lambda tensor: tensor[chosen.to(tensor.device)])
        names = {"video": self.video, "people": self.people}
        return replace(out, **{name: [of[i] for i in chosen.tolist()] for name, of in names.items() if of})  # type: ignore[arg-type]

    def scale(self) -> Batch:
        """From the bytes of the loader to numbers in [0, 1]."""
        return replace(self, frames=self.frames.float().div_(255), mask=self.mask.float().div_(255))

    def pin_memory(self) -> Batch:
        # DataLoader(pin_memory=True) passes over a dataclass in silence unless it has this method.
        return self.map(Tensor.pin_memory)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        moved = self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))
        return replace(moved, has_landmarks=self.has_landmarks)


def join(parts: Sequence[Batch]) -> Batch:
    """One behind the other; all on one device."""
    both: dict[str, Any] = {}
    for name in [f.name for f in fields(Batch)]:
        values = [getattr(part, name) for part in parts]
        if isinstance(values[0], Tensor):
            both[name] = torch.cat(values)
        elif isinstance(values[0], list):
            both[name] = [one for value in values for one in value]
    return replace(parts[0], **both)


def collate(samples: Sequence[Sample]) -> Batch:
    frames = torch.stack([s.frames for s in samples])
    no_mask = torch.zeros_like(frames[0, :, :1])
    no_points = torch.zeros(frames.shape[1], POINTS, 2)
    return Batch(
        frames=frames,
        label=torch.tensor([s.label for s in samples]),
        mask=torch.stack([no_mask if s.mask is None else s.mask for s in samples]),
        has_mask=torch.tensor([s.mask is not None for s in samples]),
        landmarks=torch.stack([no_points if s.landmarks is None else s.landmarks for s in samples]),
        has_landmarks=torch.tensor([s.landmarks is not None for s in samples]),
        video=[s.video for s in samples],
        people=[s.people for s in samples],
        track=torch.tensor([s.track for s in samples]),
        numbers=torch.stack([s.numbers for s in samples]),
        is_counted=torch.tensor([s.is_counted for s in samples]),
    )
