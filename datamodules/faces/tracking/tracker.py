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
        search_every: int = 45,
        min_face: float = SMALLEST,
        patience: int = 36,
        min_frames: int = 5,
        landmark_smoothing: float = 0.0,
        box_smoothing: int = 6,
        landmark_margin: float = 1.3,
    ) -> None:
        """
        Args:
            detector: Finds faces; BlazeFace without it.
            landmarks: Finds 68 points in a face; FaceMesh without it.
            search_every: Frames from one search of the whole frame to the next; at most 10 where no face is followed.
            min_face: Side of the smallest face that is searched for, in pixels; larger in proportion above 720 lines.
            patience: Frames that a face may be out of sight and keep its id, if it looks the same.
            min_frames: Tracks seen in fewer frames are dropped, unless the video is as short.
            landmark_smoothing: Standard deviation, in frames, of a Gaussian over the landmarks of a track.
            box_smoothing: Frames before and after one that have a part in its box; with 0 boxes are as detected.
            landmark_margin: Margin of the narrowest square around a box that must hold all landmarks; with 0 none must.
        """
        at_least = {"search_every": (search_every, 1), "min_face": (min_face, 1), "patience": (patience, 0)}
        at_least |= {
            "min_frames": (min_frames, 0),
            "landmark_smoothing": (landmark_smoothing, 0),
            "box_smoothing": (box_smoothing, 0),
        }
        for name, (value, least) in at_least.items():
            if not value >= least:  # nan neither
                raise UserError(f"faces.{name} {value}: must be at least {least}")
        if landmark_margin != 0 and landmark_margin < 1:
            raise UserError(f"faces.landmark_margin {landmark_margin}: must be 0, or at least 1")
        self.detector, self.landmarks = detector or BlazeFace(), landmarks or FaceMesh()
        self.search_every, self.min_face, self.patience = search_every, min_face, patience
        self.min_frames, self.landmark_smoothing = min_frames, landmark_smoothing
        self.box_smoothing = box_smoothing
        self.landmark_margin = 0.0 if isinstance(self.landmarks, NoLandmarks) else landmark_margin

    def start(self, damaged: Collection[int] = ()) -> Pursuit:
        """
        Args:
            damaged: Numbers of frames that are not looked at.
        """
        known = self.detector, self.landmarks, self.search_every, self.min_face, self.patience, self.min_frames
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
        shortest = min(self.min_frames, pursuit.count - len(pursuit.damaged))
        for track in pursuit.tracks:
            steady_all(track, self.box_smoothing, self.landmark_margin)
            track.drop(pursuit.damaged)
        long = [track for track in pursuit.tracks if len(track) and len(track) >= shortest]
        if self.landmark_smoothing > 0:
            for track in long:
                for one, points in zip(track, smooth_points(track, self.landmark_smoothing), strict=True):
                    one.face = replace(one.face, points=points)
        return sorted(long, key=Track.area, reverse=True)
