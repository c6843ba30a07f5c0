"""One pass over a file: faces are followed, scored and drawn as its frames are decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.faces.align import ALIGNMENTS, Alignment
from datamodules.faces.detection.base import FaceDetector
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.base import Landmarks, NoLandmarks
from datamodules.faces.landmarks.dlib import DlibLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.stream import Frame, watch
from datamodules.faces.tracking.track import Track
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.damage import find_damage, say_damage
from datamodules.media.probe import Index, VideoError, probe
from datamodules.media.video import Decoder
from datamodules.prepared.contract import Contract, compare
from datamodules.prepared.recipe import Recipe
from datamodules.runtime.errors import UserError
from datamodules.runtime.malloc import give_back
from lightning_modules.trained_method import Trained
from suite.detect.annotated_video import Annotation
from suite.detect.scorer import Score, Scorer, choose_starts
from suite.detect.thresholds import Rates, Verdict, thresholds_of
from suite.detect.usable import Usable
from suite.detect.verdict import FaceVerdict, judge_face, judge_file

# what a contract calls the options of a FaceTracker on which boxes depend
TRACKER_OPTIONS = {
    "search_every": "search_every",
    "smallest": "min_face",
    "patience": "patience",
    "shortest": "min_frames",
    "steady": "box_smoothing",
    "room": "landmark_margin",
}
HELD = 256 * 2**20  # bytes of frames that wait for scores, to be drawn
TIDY = 600  # frames after which memory is given back, which costs a sixth of a second


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What came of a file."""

    index: Index
    size: tuple[int, int]  # width and height, as it is shown
    verdict: Verdict
    reasons: list[str]
    faces: list[FaceVerdict]  # the most suspicious first
    glimpses: int  # faces that were seen in too few frames to be followed
    damage: NDArray[np.bool_]  # (N,) whether each frame is damaged, and was not scored


def needs_landmarks(one: Trained) -> bool:
    """For itself, or to cut its crops."""
    return one.method.needs_landmarks or one.contract.get("alignment", "none") != "none"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of a file.

    Args:
        seconds: Its length.
        frame_pixels: Pixels of a frame of a video.
        image_pixels: Pixels of an image.
    """

    seconds: float = 6 * 3600.0
    frame_pixels: int = 8192 * 4608
    image_pixels: int = 64_000_000


def shape_boxes(contract: Contract) -> bool:
    """Whether landmarks have a part in where faces are cut."""
    if contract["landmarks"] == NoLandmarks().fingerprint():
        return False
    return contract.get("room", 0) != 0 or mesh_of(contract) is not None


def detector_of(contract: Contract) -> FaceDetector:
    """As it is set there, or dlib's; the model itself is compared."""
    name, *settings = str(contract["detector"]).split()
    if name != BlazeFace.__name__ or not settings:
        return HOG()
    try:
        return BlazeFace(float(settings[-1]))
    except ValueError as error:
        raise UserError(f"contract: detector {contract['detector']!r}: {error}") from error


def mesh_of(contract: Contract) -> FaceMesh | None:
    meshes = (FaceMesh(), FaceMesh(eyes=True))
    return next((mesh for mesh in meshes if contract["landmarks"] == mesh.fingerprint()), None)


def landmarks_of(contract: Contract) -> Landmarks:
    """The model of a contract, or the packaged one of dlib, which is no other's stand-in: that is checked."""
    return mesh_of(contract) or DlibLandmarks()


class Pipeline:
    """Methods that look at one file after the other."""

    def __init__(
        self,
        methods: Sequence[Trained],
        decoder: Decoder,
        landmarks: Landmarks | None,
        usable: Usable,
        device: torch.device,
        frames: int,
        spacing: float,
        batch: int,
        rates: Rates,
    ) -> None:
        """
        Args:
            landmarks: For methods that need them or whose squares hold all of them; without it that of the
                checkpoint, where this package has it, or the packaged model of dlib.
            usable: What a face must have to be judged.
            frames: Frames of a file that are sampled, at least.
            spacing: Seconds from one sampled frame to the next, at most.
            batch: Clips that are scored together.
            rates: What thresholds are chosen by.
        """
        self.methods, self.decoder, self.usable = methods, decoder, usable
        self.frames, self.spacing = frames, spacing
        self.thresholds = thresholds_of(methods, rates)
        contract = methods[0].contract
        points = any(needs_landmarks(one) for one in methods) or shape_boxes(contract)
        self.landmarks = (landmarks or landmarks_of(contract)) if points else NoLandmarks()
        self.tracker = self.tracker_of(contract)
        for one in methods:
            self.check(one)
            one.method.to(device)
        self.scorers = [Scorer(one, device, batch, usable) for one in methods]

    def tracker_of(self, contract: Contract) -> FaceTracker:
        wanted = {option: contract[name] for name, option in TRACKER_OPTIONS.items() if name in contract}
        return FaceTracker(detector_of(contract), self.landmarks, **wanted)  # type: ignore[arg-type]

    def check(self, one: Trained) -> None:
        """Refuses what was trained on faces that are not found or cut as here."""
        theirs, free = dict(one.contract), ["frames", "tracks", "store"]
        size, margin = int(theirs["size"]), float(theirs["margin"])
        alignment: Alignment = next((a for a in ALIGNMENTS if a == theirs.get("alignment")), "none")
        recipe = Recipe(decoder=self.decoder, tracker=self.tracker, size=size, margin=margin, alignment=alignment)
        recipe.cropper.check_landmarks(self.landmarks, f"; {one.path} was trained so")
        mine = recipe.contract() | {name: theirs[name] for name in ("clip", "every", "format")}
        if not needs_landmarks(one):  # what it does not see may be otherwise
            free += ["smooth"] if shape_boxes(theirs) else ["landmarks", "smooth"]
        for name in free:
            mine.pop(name, None), theirs.pop(name, None)
        compare(mine, theirs, f"what {one.path} was trained on")

    def analyze(
        self,
        path: Path,
        copy: Path | None,
        limits: Limits,
        progress: Callable[[int, int], None] = lambda *_: None,
        index: Index | None = None,
    ) -> Analysis:
        """
        Args:
            copy: File for an annotated copy.
            progress: Is told of the frames that were seen, and of all.
            index: Index of the file, where it was probed before.
        """
        index = index or probe(path)
        if index.seconds > limits.seconds:
            raise VideoError(path, f"is {index.seconds:.1f} s long; the limit is {limits.seconds:g} s")
        largest = limits.image_pixels if len(index) == 1 else limits.frame_pixels
        if index.frame_bytes > 3 * largest:
            raise VideoError(path, f"has {index.frame_bytes // 3} pixels a frame; the limit is {largest}")
        damage = find_damage(path, index)
        most = []
        for scorer in self.scorers:
            starts = choose_starts(index.times, scorer.span, self.frames, self.spacing)
            if not starts:
                raise VideoError(path, f"has {len(index)} frames, fewer than the {scorer.span + 1} of a clip")
            starts = [i for i in starts if not damage[i : i + scorer.span + 1 : scorer.every].any()]
            scorer.begin(starts)
            most.append(len(starts))
        tracks: dict[int, Track] = {}
        size, damaged = (0, 0), set(np.flatnonzero(damage).tolist())
        with Annotation.create(copy, path, index, self.methods, self.thresholds, self.usable) as made:
            for frame in self.annotate(watch(self.decoder, path, self.tracker, damaged, index), made):
                size = (frame.image.shape[1], frame.image.shape[0])
                tracks |= {face.track.id: face.track for face in frame.faces}
                progress(frame.number + 1, len(index))
                if frame.number % TIDY == TIDY - 1:
                    give_back()
        for track in tracks.values():
            track.drop(damaged)
        return self.judge(index, size, tracks, min(most), damage)

    def annotate(self, frames: Iterator[Frame], annotation: Annotation) -> Iterator[Frame]:
        """Passes them on to the methods and, once it is known what these say, to the annotated copy."""
        held: deque[Frame] = deque()
        for frame in frames:
            for scorer in self.scorers:
                scorer.add_frame(frame)
            held.append(frame)
            if not annotation.wanted or len(held) * frame.image.nbytes > HELD:
                if annotation.wanted:
                    for scorer in self.scorers:
                        scorer.flush()
                self.annotate_held(held, annotation)
            yield frame
        for scorer in self.scorers:
            scorer.flush()
            scorer.open.clear()
        self.annotate_held(held, annotation)

    def annotate_held(self, held: deque[Frame], annotation: Annotation) -> None:
        until = min(scorer.known_until for scorer in self.scorers) if annotation.wanted else 2**62
        while held and held[0].number < until:
            annotation.put(held.popleft(), [scorer.scores for scorer in self.scorers])

    def judge(
        self, index: Index, size: tuple[int, int], tracks: dict[int, Track], most: int, damage: NDArray[np.bool_]
    ) -> Analysis:
        shortest = min(self.tracker.min_frames, int((~damage).sum()))
        reason = self.usable.reject_damage(damage) or (
            "" if most else f"{say_damage(damage)}: no sampled frame is intact"
        )
        faces = []
        for track in tracks.values():
            if len(track.frames) >= shortest:
                mine: list[tuple[Trained, list[Score]]] = [
                    (one.trained, sorted((s for s in one.scores if s.track == track.id), key=lambda s: s.frame))
                    for one in self.scorers
                ]
                faces.append(judge_face(track, mine, index.times.tolist(), self.usable, most, self.thresholds, reason))
        faces.sort(key=lambda face: (bool(face.reasons), -(face.probability or 0.0), face.track.id))
        glimpses = len(tracks) - len(faces)
        verdict, reasons = judge_file(faces, glimpses, reason)
        return Analysis(
            index=index,
            size=size,
            verdict=verdict,
            reasons=reasons,
            faces=faces,
            glimpses=glimpses,
            damage=damage,
        )
