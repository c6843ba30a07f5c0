"""One face over time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from datamodules.faces.detection.base import Floats, Found
from datamodules.faces.landmarks.base import FacePoints
from datamodules.faces.pose import HeadPose, measure_pose

UNKNOWN = HeadPose(yaw=float("nan"), pitch=float("nan"), roll=float("nan"))


@dataclass(kw_only=True, slots=True, eq=False)
class Sighting:
    """A face in one frame."""

    frame: int
    found: Found  # as it was detected, or as its landmarks were followed to
    face: FacePoints
    found_by: str  # class of the detector, or of the landmarks that were followed; empty where the box was provided
    box: Floats = field(init=False)  # (4,) that crops are cut around: steady, once the frames around are known
    grown: Floats | None = None  # as found, grown to hold the landmarks
    pose: HeadPose = field(init=False)  # nan without landmarks

    def __post_init__(self) -> None:
        self.box = self.found.box
        self.pose = measure_pose(self.face) if np.ptp(self.face.points) > 0 else UNKNOWN

    def forget_mesh(self) -> None:
        """An hour of meshes would be half a gigabyte."""
        self.face = replace(self.face, mesh=None)


@dataclass(slots=True, eq=False)
class Track:
    """One face in one shot; frames where it was not seen are absent."""

    id: int
    shot: int = 0
    sightings: list[Sighting] = field(default_factory=list)

    def __iter__(self) -> Iterator[Sighting]:
        return iter(self.sightings)

    def __len__(self) -> int:
        return len(self.sightings)

    @property
    def frames(self) -> list[int]:
        return [one.frame for one in self]

    @property
    def boxes(self) -> list[Floats]:
        return [one.box for one in self]

    @property
    def scores(self) -> list[float]:
        return [one.found.score for one in self]

    @property
    def landmarks(self) -> list[Floats]:
        return [one.face.points for one in self]

    def drop(self, damaged: Collection[int]) -> None:
        """Forgets what was seen in some frames."""
        self.sightings = [one for one in self if one.frame not in damaged]

    def area(self) -> float:
        """Sum over frames, so that long and large tracks come first."""
        boxes = np.stack(self.boxes)
        return float(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum())
