"""What a method says of the faces of a video, as a test would have it say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.batch import Sample, collate
from datamodules.faces.align import Cropper
from datamodules.faces.crop import NoCrop, Region
from datamodules.faces.quality import Quality, measure_quality, worsen
from datamodules.faces.stream import Face, Frame
from datamodules.loading.clips import to_frames
from datamodules.media.image import decode, encode, resize
from datamodules.runtime.errors import UserError
from datamodules.spacing import space_evenly
from lightning_modules.base import Prediction
from lightning_modules.trained_method import Trained
from lightning_modules.trunks.early_layers import watch
from suite.detect.usable import Fault, Usable

HEAT = 64  # largest side of a map that is kept
SHOWN, MOST_SHOWN = 6, 120  # sampled frames of a face, and of a file, whose images are kept
TILE = 160  # their side
TIGHT = 1e-6  # seconds that times are rounded by


@dataclass(kw_only=True, slots=True, eq=False)
class Score:
    """Of one face in one sampled frame, or in the clip that begins there."""

    track: int
    frame: int
    seconds: float
    region: Region
    score: float  # probability before calibration
    quality: Quality
    fault: Fault | None  # why it has no part in the verdict
    heat: NDArray[np.uint8] | None  # (h, w), 255 is forged
    distance: float | None = None  # from the faces of the training, where the checkpoint knows them
    crop: NDArray[np.uint8] | None = None  # (TILE, TILE, 3)


@dataclass(kw_only=True, slots=True, eq=False)
class Clip:
    """A clip that is being cut."""

    start: int
    seconds: float
    track: int
    region: Region
    quality: Quality
    crops: list[NDArray[np.uint8]] = field(default_factory=list)
    points: list[NDArray[np.float32]] = field(default_factory=list)


def choose_starts(times: NDArray[np.float64], span: int, count: int, spacing: float) -> list[int]:
    """First frames of the clips to score: those that a test would take, and more where they are far apart in time.

    Args:
        times: (N,) of all frames, in seconds.
        span: From the first frame of a clip to its last.
        count: Evenly spaced ones, as in a test.
        spacing: In seconds, at most from one to the next, as far as there are frames.
    """
    last = len(times) - span
    chosen = space_evenly(max(0, last), count)
    more: set[int] = set()
    for here, there in pairwise(chosen):
        latest = here
        while times[there] - times[latest] > spacing + TIGHT:
            # the last one that is near enough, or the next where none is
            latest = max(latest + 1, int(np.searchsorted(times, times[latest] + spacing + TIGHT, "right")) - 1)
            more.add(latest)
    return sorted(more.union(chosen))


def predict(trained: Trained, samples: Sequence[Sample], device: torch.device) -> tuple[Prediction, list[float] | None]:
    """What a method says, and the distance of each face from those of its training, where it knows them."""
    method, known = trained.method, trained.method.familiarity
    with torch.inference_mode(), watch(method.early_layers()) as early:
        prediction = method.predict(collate(samples).to(device).scale())
    if not prediction.logit.isfinite().all():
        frame = int(samples[0].numbers[0])
        raise UserError(f"{trained.path}: non-finite logit in the batch starting at frame {frame}")
    return prediction, None if known is None else known.distances(early.features(len(samples))).tolist()


class Scorer:
    """One method on one video, given frame by frame; faces of several frames are scored together."""

    def __init__(self, trained: Trained, device: torch.device, batch: int, usable: Usable) -> None:
        """
        Args:
            usable: What a face must have in a frame to be judged.
            batch: Clips that are scored together.
        """
        self.trained, self.device, self.batch, self.usable = trained, device, batch, usable
        contract = trained.contract
        self.length, self.every = int(contract["clip"]), int(contract["every"])
        self.size, self.cropper = int(contract["size"]), Cropper.from_contract(contract)
        self.through_jpeg = contract["format"] == "jpg" and trained.stored is not None
        self.starts: set[int] = set()
        self.open: list[Clip] = []
        self.pending: list[Clip] = []
        self.scores: list[Score] = []
        self.shown: list[Score] = []  # with their images

    @property
    def span(self) -> int:
        return (self.length - 1) * self.every

    def begin(self, starts: Sequence[int]) -> None:
        """
        Args:
            starts: First frames of the clips.
        """
        self.starts, self.open, self.pending, self.scores, self.shown = set(starts), [], [], [], []

    def add_frame(self, frame: Frame) -> None:
        if frame.number in self.starts:
            for face in frame.faces:
                try:
                    region = self.cropper.region(face.box, face.landmarks)
                    quality = measure_quality(frame.image, face.box, region, face.presence, face.pose)
                except NoCrop:
                    continue
                about = {"start": frame.number, "seconds": frame.seconds, "quality": quality}
                self.open.append(Clip(track=face.track.id, region=region, **about))  # type: ignore[arg-type]
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
            crop = clip.region.cut(frame.image, self.trained.stored or self.size)
        except NoCrop:
            return False
        clip.quality = worsen(clip.quality, face.presence, face.pose)
        clip.crops.append(self.store(crop).copy())  # a view would keep the frame
        clip.points.append(clip.region.to_crop(face.landmarks, self.size))
        return True

    def store(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As a test would read it from what 'prepare' has stored."""
        crop = resize(crop, self.trained.stored or self.size)
        return resize(decode(encode(crop, "jpg")) if self.through_jpeg else crop, self.size)

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
                frames=to_frames(clip.crops),
                label=0,
                mask=None,
                landmarks=torch.from_numpy(np.stack(clip.points)) if self.trained.method.needs_landmarks else None,
                video="",
                track=clip.track,
                numbers=torch.arange(clip.start, clip.start + self.span + 1, self.every),
            )
            for clip in clips
        ]
        prediction, distances = predict(self.trained, samples, self.device)
        scores = prediction.logit.float().sigmoid().tolist()
        masks = None if prediction.mask_logit is None else prediction.mask_logit[:, 0, 0].float().sigmoid().cpu()
        for i, clip in enumerate(clips):
            heat = None if masks is None else (masks[i] * 255).byte().numpy()
            if heat is not None and max(heat.shape) > HEAT:
                heat = cv2.resize(heat, (HEAT, HEAT), interpolation=cv2.INTER_AREA)
            about = {"track": clip.track, "frame": clip.start, "seconds": clip.seconds, "region": clip.region}
            about |= {"quality": clip.quality, "fault": self.usable.find_fault(clip.quality)}
            about |= {"distance": None if distances is None else distances[i]}
            self.keep(Score(**about, score=scores[i], heat=heat), clip.crops[0])  # type: ignore[arg-type]

    def keep(self, score: Score, crop: NDArray[np.uint8]) -> None:
        """With its image, if it is among those that will be shown."""
        self.scores.append(score)
        if score.fault:
            return
        score.crop = cv2.resize(crop, (TILE, TILE), interpolation=cv2.INTER_AREA)
        mine = [one for one in self.shown if one.track == score.track] + [score]
        self.shown.append(score)
        if len(mine) > SHOWN:
            self.hide(min(mine, key=lambda one: one.score))
        elif len(self.shown) > MOST_SHOWN:
            self.hide(min(self.shown, key=lambda one: one.score))

    def hide(self, score: Score) -> None:
        self.shown.remove(score)
        score.crop = None
