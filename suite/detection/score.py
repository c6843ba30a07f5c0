"""What a method says of the faces of a video, as a test would have it say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.batch import Sample, collate
from datamodules.clips import as_frames
from datamodules.crops import OutsidePicture, Square, decode, encode, resize
from datamodules.sampling import evenly
from datamodules.watch import Face, Frame
from lightning_modules.trained import Trained

HEAT = 64  # largest side of a map that is kept
SHOWN = 6  # moments of each face whose pictures are kept
SHARP = 96  # side at which faces are compared in sharpness


@dataclass(kw_only=True, slots=True)
class Score:
    """Of one face at one moment."""

    track: int
    frame: int
    seconds: float
    square: Square
    score: float  # probability before calibration
    sharpness: float
    heat: NDArray[np.uint8] | None  # (h, w), 255 is forged
    crop: NDArray[np.uint8] | None = None  # (size, size, 3), for pictures


@dataclass(kw_only=True, slots=True)
class Clip:
    """A clip that is being cut."""

    start: int
    seconds: float
    track: int
    square: Square
    crops: list[NDArray[np.uint8]] = field(default_factory=list)
    points: list[NDArray[np.float32]] = field(default_factory=list)


def moments(frames: int, seconds: float, span: int, count: int, spacing: float) -> list[int]:
    """First frames of the clips to score: evenly spaced, at least ``count``, and never further apart than ``spacing``.

    Args:
        span: From the first frame of a clip to its last.
        spacing: In seconds.
    """
    return evenly(max(0, frames - span), max(count, ceil(seconds / spacing) + 1))


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the inner half, which is face: low where there are no fine structures."""
    grey = cv2.cvtColor(resize(crop, SHARP), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey[SHARP // 4 : -SHARP // 4, SHARP // 4 : -SHARP // 4], cv2.CV_64F).var())


class Scorer:
    """One method on one video, given frame by frame; faces of several moments are scored together."""

    def __init__(self, trained: Trained, device: torch.device, batch: int) -> None:
        """
        Args:
            batch: Clips that are scored together.
        """
        self.trained, self.device, self.batch = trained, device, batch
        contract = trained.contract
        self.length, self.every = int(contract["clip"]), int(contract["every"])
        self.size, self.margin = int(contract["size"]), float(contract["margin"])
        self.through_jpeg = contract["format"] == "jpg" and trained.stored is not None
        self.starts: set[int] = set()
        self.open: list[Clip] = []
        self.pending: list[Clip] = []
        self.scores: list[Score] = []
        self.best: dict[int, list[Score]] = {}  # of each face, with their crops

    @property
    def span(self) -> int:
        return (self.length - 1) * self.every

    def begin(self, starts: Sequence[int]) -> None:
        """
        Args:
            starts: First frames of the clips.
        """
        self.starts, self.open, self.pending, self.scores, self.best = set(starts), [], [], [], {}

    def see(self, frame: Frame) -> None:
        if frame.number in self.starts:
            for face in frame.faces:
                square = Square.around(face.box, self.margin)
                about = {"start": frame.number, "seconds": frame.seconds}
                self.open.append(Clip(track=face.track.id, square=square, **about))  # type: ignore[arg-type]
        faces = {face.track.id: face for face in frame.faces}
        for clip in list(self.open):
            if (frame.number - clip.start) % self.every:
                continue
            if clip.track not in faces or not self.cut(clip, frame, faces[clip.track]):
                self.open.remove(clip)  # out of sight meanwhile
            elif len(clip.crops) == self.length:
                self.open.remove(clip)
                self.pending.append(clip)
        while len(self.pending) >= self.batch:
            self.score()

    def cut(self, clip: Clip, frame: Frame, face: Face) -> bool:
        try:
            crop = clip.square.cut(frame.picture, self.trained.stored or self.size)
        except OutsidePicture:
            return False
        if self.through_jpeg:
            crop = decode(encode(crop, "jpg"))
        clip.crops.append(resize(crop, self.size))
        clip.points.append(clip.square.inward(face.landmarks, self.size))
        return True

    @property
    def known_until(self) -> int:
        """Faces of frames before this one have their scores."""
        return min((clip.start for clip in (*self.open, *self.pending)), default=2**62)

    def flush(self) -> None:
        while self.pending:
            self.score()

    def score(self) -> None:
        clips, self.pending = self.pending[: self.batch], self.pending[self.batch :]
        samples = [
            Sample(
                frames=as_frames(clip.crops),
                label=0,
                mask=None,
                landmarks=torch.from_numpy(np.stack(clip.points)) if self.trained.method.needs_landmarks else None,
                video="",
                track=clip.track,
                numbers=torch.arange(clip.start, clip.start + self.span + 1, self.every),
            )
            for clip in clips
        ]
        with torch.inference_mode():
            prediction = self.trained.method.predicted(collate(samples).to(self.device).scaled())
        scores = prediction.logit.float().sigmoid().tolist()
        masks = None if prediction.mask_logit is None else prediction.mask_logit[:, 0, 0].float().sigmoid().cpu()
        for i, clip in enumerate(clips):
            heat = None if masks is None else (masks[i] * 255).byte().numpy()
            if heat is not None and max(heat.shape) > HEAT:
                heat = cv2.resize(heat, (HEAT, HEAT), interpolation=cv2.INTER_AREA)
            about = {"track": clip.track, "frame": clip.start, "seconds": clip.seconds, "square": clip.square}
            crop, sharp = clip.crops[0], sharpness(clip.crops[0])
            self.scores.append(Score(**about, score=scores[i], sharpness=sharp, heat=heat, crop=crop))  # type: ignore[arg-type]
            best = self.best.setdefault(clip.track, [])
            best.append(self.scores[-1])
            best.sort(key=lambda score: -score.score)
            for other in best[SHOWN:]:  # of an hour only the pictures that will be shown
                other.crop = None
            del best[SHOWN:]
