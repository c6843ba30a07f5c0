"""Following every face of a video: what there is to choose."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.detection.base import SMALLEST, FaceDetector
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.landmarks.base import Landmarks, NoLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.tracking.pursuit import Pursuit
from datamodules.faces.tracking.steady import smooth_points, steady_all
from datamodules.faces.tracking.track import Track
from datamodules.runtime.errors import UserError


class FaceTracker:
    """Searches whole frames now and then, and in between only around the faces it knows."""

    def __init__(
        self,
        detector: FaceDetector | None = None,
        landmarks: Landmarks | None = None,
        every: int = 45,
        smallest: float = SMALLEST,
        patience: int = 36,
        shortest: int = 5,
        smooth: float = 0.0,
        steady: int = 6,
        room: float = 1.3,
    ) -> None:
        """
        Args:
            detector: Finds faces; BlazeFace without it.
            landmarks: Finds 68 points in a face; FaceMesh without it.
            every: Frames from one search of the whole frame to the next; at most 10 where no face is followed.
            smallest: Side of the smallest face that is searched for, in pixels; larger in proportion above 720 lines.
            patience: Frames that a face may be out of sight and keep its id, if it looks the same.
            shortest: Tracks seen in fewer frames are dropped, unless the video is as short.
            smooth: Standard deviation, in frames, of a Gaussian over the landmarks of a track.
            steady: Frames before and after one that have a part in its box; with 0 boxes are as they were detected.
            room: Margin of the narrowest square around a box that has to hold all landmarks; with 0 none has to.
        """
        at_least = {"every": (every, 1), "smallest": (smallest, 1), "patience": (patience, 0)}
        at_least |= {"shortest": (shortest, 0), "smooth": (smooth, 0), "steady": (steady, 0)}
        for name, (value, least) in at_least.items():
            if not value >= least:  # nan neither
                raise UserError(f"faces.{name} {value}: must be at least {least}")
        if room != 0 and room < 1:
            raise UserError(f"faces.room {room}: must be 0, or at least 1")
        self.detector, self.landmarks = detector or BlazeFace(), landmarks or FaceMesh()
        self.every, self.smallest, self.patience = every, smallest, patience
        self.shortest, self.smooth = shortest, smooth
        self.steady = steady
        self.room = 0.0 if isinstance(self.landmarks, NoLandmarks) else room

    def start(self, damaged: Collection[int] = ()) -> Pursuit:
        """
        Args:
            damaged: Numbers of frames that are not looked at.
        """
        known = self.detector, self.landmarks, self.every, self.smallest, self.patience, self.shortest
        return Pursuit(*known, damaged)

    def track(self, frames: Iterable[NDArray[np.uint8]], damaged: Collection[int] = ()) -> list[Track]:
        """
        Args:
            frames: (H, W, 3) images in order.
            damaged: Numbers of those that are not looked at.

        Returns:
            The tracks, longest and largest first, ids in order of appearance.
        """
        pursuit = self.start(damaged)
        for image in frames:
            pursuit.update(image)
        pursuit.end()
        shortest = min(self.shortest, pursuit.count - len(pursuit.damaged))
        for track in pursuit.tracks:
            steady_all(track, self.steady, self.room)
            track.drop(pursuit.damaged)
        long = [track for track in pursuit.tracks if len(track) and len(track) >= shortest]
        if self.smooth > 0:
            for track in long:
                for one, points in zip(track, smooth_points(track, self.smooth), strict=True):
                    one.face = replace(one.face, points=points)
        return sorted(long, key=Track.area, reverse=True)
