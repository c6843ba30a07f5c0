"""Following every face of a video."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.detection import SAME, SMALLEST, Detector, Floats, Found, Image, overlap, search_frame
from datamodules.faces.hog import HOG
from datamodules.faces.landmarks import DlibLandmarks, Landmarks


@dataclass(slots=True)
class Track:
    """One face over time; frames where it was not seen are absent."""

    id: int
    frames: list[int] = field(default_factory=list)
    boxes: list[Floats] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    landmarks: list[Floats] = field(default_factory=list)

    def put(self, frame: int, found: Found, points: Floats | None) -> None:
        self.frames.append(frame)
        self.boxes.append(found.box)
        self.scores.append(found.score)
        if points is not None:
            self.landmarks.append(points)

    def drop(self, damaged: Collection[int]) -> None:
        """Forgets what was seen in some frames."""
        for name in ("boxes", "scores", "landmarks", "frames"):
            pairs = zip(self.frames, getattr(self, name), strict=True)
            setattr(self, name, [value for frame, value in pairs if frame not in damaged])

    def area(self) -> float:
        """Sum over frames, so that long and large tracks come first."""
        boxes = np.stack(self.boxes)
        return float(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum())


class FaceTracker:
    """Searches whole frames now and then, and in between only around the faces it knows."""

    def __init__(
        self,
        detector: Detector | None = None,
        landmarks: Landmarks | None = None,
        every: int = 25,
        smallest: float = SMALLEST,
        patience: int = 10,
        shortest: int = 5,
        smooth: float = 0.0,
    ) -> None:
        """
        Args:
            detector: Finds faces; dlib's HOG without it.
            landmarks: Finds 68 points in a face; the packaged dlib model without it.
            every: Frames from one search of the whole frame to the next.
            smallest: Side of the smallest face that is searched for, in pixels; larger in proportion above 720 lines.
            patience: Frames that a face may be out of sight and keep its id.
            shortest: Tracks seen in fewer frames are dropped, unless the video is as short.
            smooth: Standard deviation, in frames, of a Gaussian over the landmarks of a track.
        """
        self.detector, self.landmarks = detector or HOG(), landmarks or DlibLandmarks()
        self.every, self.smallest, self.patience = every, smallest, patience
        self.shortest, self.smooth = shortest, smooth

    def follow(self, image: Image, box: Floats) -> Found | None:
        return self.detector.follow(image, Found(box=box, score=float("nan")))

    def track(self, frames: Iterable[NDArray[np.uint8]], damaged: Collection[int] = ()) -> list[Track]:
        """
        Args:
            frames: (H, W, 3) pictures in order.
            damaged: Numbers of those that are not looked at.

        Returns:
            The tracks, longest and largest first, ids in order of appearance.
        """
        pursuit = Pursuit(self, damaged)
        for picture in frames:
            pursuit.see(picture)
        pursuit.end()
        return pursuit.found()


class Pursuit:
    """The faces of a video that is being read, one picture after the other."""

    def __init__(self, tracker: FaceTracker, damaged: Collection[int] = ()) -> None:
        """
        Args:
            damaged: Numbers of pictures that are not looked at: what was seen last stands in for them.
        """
        self.tracker, self.damaged = tracker, frozenset(damaged)
        self.tracks: list[Track] = []
        self.recent: list[Image] = []  # since the last search of a whole frame, that one too
        self.searched, self.count = -tracker.every, 0

    @property
    def settled(self) -> int:
        """Faces of frames before this one will not change."""
        return max(0, self.searched)

    def see(self, picture: NDArray[np.uint8]) -> None:
        """
        Args:
            picture: (H, W, 3).
        """
        i, tracker = self.count, self.tracker
        if i in self.damaged:
            picture = self.recent[-1] if self.recent else np.zeros_like(picture)
        self.recent.append(picture)
        lost = False
        for track in [t for t in self.tracks if i - t.frames[-1] <= tracker.patience]:
            found = tracker.follow(picture, track.boxes[-1])
            if found is None or self.taken(found):
                lost = lost or track.frames[-1] == i - 1
            else:
                self.put(track, i, found, picture)
        if i - self.searched >= tracker.every or (lost and i - self.searched >= 5):
            self.search()
        self.count = i + 1

    def search(self) -> None:
        """In the whole of the last picture, for faces that are not followed yet."""
        i, image = self.count, self.recent[-1]
        for found in search_frame(self.tracker.detector, image, self.tracker.smallest):
            if not self.taken(found):
                track = self.known(found) or Track(len(self.tracks))
                self.put(track, i, found, image)
                if len(track.frames) == 1:
                    self.tracks.append(track)
                    self.rewind(track)
        self.searched, self.recent = i, [image]

    def end(self) -> None:
        """There are no more pictures: who came since the last search is looked for in the last one."""
        if self.recent and self.count - 1 - self.searched >= self.tracker.shortest:
            self.count -= 1
            self.search()
            self.count += 1

    def found(self) -> list[Track]:
        """The tracks, longest and largest first, ids in order of appearance."""
        for track in self.tracks if self.damaged else []:
            track.drop(self.damaged)
        shortest = min(self.tracker.shortest, self.count - len(self.damaged))
        long = [t for t in self.tracks if t.frames and len(t.frames) >= shortest]
        if self.tracker.smooth > 0:
            for track in long:
                points = np.stack(track.landmarks)
                track.landmarks = list(smoothed(np.asarray(track.frames), points, self.tracker.smooth))
        return sorted(long, key=Track.area, reverse=True)

    def put(self, track: Track, i: int, found: Found, image: Image) -> None:
        track.put(i, found, self.tracker.landmarks.fit(image, found).points)

    def taken(self, found: Found) -> bool:
        return any(t.frames[-1] == self.count and overlap(t.boxes[-1], found.box) > SAME for t in self.tracks)

    def known(self, found: Found) -> Track | None:
        """A track that was lost a moment ago where a face is found now."""
        gone = [
            t
            for t in self.tracks
            if 0 < self.count - t.frames[-1] <= self.tracker.patience and overlap(t.boxes[-1], found.box) > SAME
        ]
        return max(gone, key=lambda t: overlap(t.boxes[-1], found.box), default=None)

    def rewind(self, track: Track) -> None:
        """A face that came between two searches is followed back to where it came from."""
        i = self.count
        back = Track(track.id)
        box = track.boxes[0]
        for j in range(i - 1, i - len(self.recent), -1):
            image = self.recent[j - i - 1]
            found = self.tracker.follow(image, box)
            if found is None or any(
                j in t.frames and overlap(t.boxes[t.frames.index(j)], found.box) > SAME for t in self.tracks
            ):
                break
            self.put(back, j, found, image)
            box = found.box
        for name in ("frames", "boxes", "scores", "landmarks"):
            getattr(track, name)[:0] = getattr(back, name)[::-1]


def smoothed(frames: NDArray[np.int64], points: Floats, sigma: float) -> Floats:
    """Each (68, 2) as the Gaussian mean of its neighbours in time."""
    weight = np.exp(-0.5 * ((frames[:, None] - frames[None]) / sigma) ** 2)
    weight /= weight.sum(1, keepdims=True)
    return np.einsum("st,tnc->snc", weight, points).astype(np.float32)
