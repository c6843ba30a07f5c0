"""Watching a video once: each frame, with the faces in it, as soon as those are settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.detection.base import Floats
from datamodules.faces.pose import HeadPose
from datamodules.faces.tracking.steady import steady
from datamodules.faces.tracking.track import UNKNOWN, Track
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.probe import Index
from datamodules.media.video import Decoder, VideoError


@dataclass(frozen=True, kw_only=True, slots=True)
class Face:
    """One face of one frame."""

    track: Track  # which goes on growing
    box: Floats  # (4,) x0 y0 x1 y1, steady
    landmarks: Floats  # (68, 2)
    presence: float = float("nan")  # probability that it is a face, where the landmark model says it
    pose: HeadPose = UNKNOWN


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    number: int
    seconds: float
    image: NDArray[np.uint8]  # (H, W, 3)
    faces: list[Face]


def watch(
    decoder: Decoder, path: Path, tracker: FaceTracker, damaged: Collection[int] = (), index: Index | None = None
) -> Iterator[Frame]:
    """The frames in order, each as soon as its faces are known and their boxes are as they will stay.

    That is at most ``tracker.search_every + tracker.box_smoothing`` frames later, some more where a face is missing.

    Args:
        damaged: Numbers of frames in which no face is looked for.
        index: Index of the file, where it was probed before.
    """
    pursuit = tracker.start(damaged)
    held: deque[tuple[int, float, NDArray[np.uint8]]] = deque()
    place: dict[int, int] = {}  # in each track, of the next frame that it has

    def take_ready(until: int) -> Iterator[Frame]:
        while held and held[0][0] < until:
            number, seconds, image = held.popleft()
            faces = []
            for track in pursuit.tracks:
                at = place.setdefault(track.id, 0)
                if at < len(track) and track.sightings[at].frame == number:
                    steady(track, at, tracker.box_smoothing, tracker.landmark_margin)
                    one = track.sightings[at]
                    if number not in pursuit.damaged:
                        about = {"presence": one.face.presence, "pose": one.pose}
                        faces.append(Face(track=track, box=one.box, landmarks=one.face.points, **about))  # type: ignore[arg-type]
                    place[track.id] = at + 1
            yield Frame(number=number, seconds=seconds, image=image, faces=faces)

    size = None
    for number, seconds, frame in decoder.stream(path, index):
        image = frame.cpu().numpy()
        size = size or image.shape
        if image.shape != size:
            raise VideoError(path, f"has frames of {size[1]} x {size[0]} and of {image.shape[1]} x {image.shape[0]}")
        held.append((number, seconds, image))
        pursuit.update(image)
        yield from take_ready(pursuit.final_until - tracker.box_smoothing)
    pursuit.end()
    yield from take_ready(pursuit.count)
