"""An annotated copy of a video: boxes, maps of forgery, and the curve of each face as it grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from datamodules.faces.align import Cropper
from datamodules.faces.crop import NoCrop, Region
from datamodules.faces.stream import Face, Frame
from datamodules.media.encode import TICKS
from datamodules.media.video import Index
from datamodules.runtime.atomic_files import write_atomically
from lightning_modules.trained_method import Trained
from suite.detect.audio import Sound, choose_way
from suite.detect.familiarity import Distance, explain_unlike
from suite.detect.scorer import Score
from suite.detect.thresholds import Thresholds, Verdict
from suite.detect.usable import Usable

Image = NDArray[np.uint8]
LONGEST = 1280  # side of the copy
COLOURS: dict[Verdict, tuple[int, int, int]] = {
    "forged": (225, 45, 45),
    "unclear": (215, 135, 0),
    "no forgery found": (30, 160, 110),
    "no verdict": (140, 140, 140),
}
CURVES = [(37, 99, 235), (217, 119, 6), (124, 58, 237), (8, 145, 178), (190, 24, 93), (101, 163, 13)]


class Annotation:
    """Takes the frames of a video in order."""

    wanted = True
    usable = Usable()

    def __init__(self, index: Index, methods: Sequence[Trained], thresholds: Thresholds) -> None:
        self.seconds = index.seconds
        self.methods = methods
        self.thresholds = thresholds
        self.next_score = [0] * len(methods)  # scores that were looked at
        self.last_scores: dict[int, list[Score | None]] = {}  # of each face, what each method said last
        self.curve_ends: dict[int, tuple[int, int]] = {}  # where the curve of each face ended
        self.strip: Image | None = None
        self.canvas: Image | None = None
        self.scale = 1.0

    @staticmethod
    @contextmanager
    def create(
        path: Path | None,
        source: Path,
        index: Index,
        methods: Sequence[Trained],
        thresholds: Thresholds,
        usable: Usable,
    ) -> Iterator[Annotation]:
        """
        Args:
            path: To write, mp4 or png; nothing is drawn without it.
            usable: What a face must have to be judged.
        """
        if path is None:
            yield NoAnnotation(index, methods, thresholds)
            return
        with write_atomically(path) as part:
            annotation = (
                AnnotatedImage(index, methods, thresholds, part)
                if path.suffix == ".png"
                else AnnotatedVideo(index, methods, thresholds, part, source)
            )
            annotation.usable = usable
            try:
                yield annotation
                annotation.end()
            finally:
                annotation.close()

    def put(self, frame: Frame, scores: Sequence[list[Score]]) -> None:
        """
        Args:
            scores: Of each method, all that it said of frames up to this one, perhaps of later ones.
        """
        height, width = frame.image.shape[:2]
        self.scale = min(1.0, LONGEST / max(height, width))
        size = (max(2, round(width * self.scale) // 2 * 2), max(2, round(height * self.scale) // 2 * 2))
        self.add_scores(frame, scores)
        curves = self.curves(frame, size[0])
        if self.canvas is None:
            self.canvas = np.empty((size[1] + len(curves), size[0], 3), np.uint8)
        image = self.canvas[: size[1]]
        if size == (width, height):
            image[:] = frame.image
        else:
            cv2.resize(frame.image, size, image, interpolation=cv2.INTER_AREA)
        self.canvas[size[1] :] = curves
        for face in frame.faces:
            self.draw(image, face)
        self.show(self.canvas, frame.seconds)

    def add_scores(self, frame: Frame, scores: Sequence[list[Score]]) -> None:
        """Takes the scores of frames up to this one."""
        for i, method_scores in enumerate(scores):
            while self.next_score[i] < len(method_scores) and method_scores[self.next_score[i]].frame <= frame.number:
                score = method_scores[self.next_score[i]]
                last_scores = self.last_scores.setdefault(score.track, [None] * len(self.methods))
                if (old := last_scores[i]) is not None and old.crop is None:
                    old.heat = None  # of an hour, only what is shown
                last_scores[i] = score
                self.next_score[i] += 1

    def said_of(self, track: int) -> list[tuple[Trained, Score]]:
        """What each method said last of a face; nothing where it was not to be judged there."""
        latest = zip(self.methods, self.last_scores.get(track, []), strict=False)
        said = [(method, one) for method, one in latest if one is not None and one.fault is None]
        distances = [
            Distance(name=method.name, value=one.distance, limit=float(method.method.familiarity.limit))
            for method, one in said
            if one.distance is not None and method.method.familiarity is not None
        ]
        return [] if explain_unlike(distances, self.usable.distance) else said

    def probability(self, track: int) -> float | None:
        said = [method.calibrate(one.score) for method, one in self.said_of(track)]
        return float(np.mean(said)) if said else None

    def draw(self, image: Image, face: Face) -> None:
        said, probability = self.said_of(face.track.id), self.probability(face.track.id)
        colour = COLOURS["no verdict" if probability is None else self.thresholds.verdict(probability)]
        for method, one in said:
            if one.heat is not None:
                with suppress(NoCrop):
                    region = Cropper.from_contract(method.contract).region(
                        face.box * self.scale, face.landmarks * self.scale
                    )
                    warm(image, one.heat, region)
                break
        x0, y0, x1, y1 = (round(float(v) * self.scale) for v in face.box)
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, 2, cv2.LINE_AA)
        label(image, f"{face.track.id}" + ("" if probability is None else f"  {probability:.2f}"), (x0, y0), colour)

    def curves(self, frame: Frame, width: int) -> Image:
        """A strip with the whole length of the video, drawn up to now."""
        height = max(48, min(120, width // 9)) // 2 * 2
        left, right, top, bottom = 34, width - 8, 8, height - 16
        if self.strip is None:
            self.strip = np.full((height, width, 3), 250, np.uint8)
            for value in (0.0, 1.0):
                y = round(bottom - value * (bottom - top))
                cv2.line(self.strip, (left, y), (right, y), (215, 215, 215), 1)
                text(self.strip, f"{value:g}", (left - 14, y + 4))
            self.mark("unclear", left, right, round(bottom - self.thresholds.unclear * (bottom - top)))
            y = round(bottom - self.thresholds.forged * (bottom - top))
            self.mark("forged", left, right, y)
            if height >= 60:
                text(self.strip, "forged", (2, max(top + 10, min(bottom, y - 3))), 0.28)
            text(self.strip, f"{self.seconds:.1f} s", (right - 40, height - 4))
        x = left + round((right - left) * frame.seconds / max(self.seconds, 1e-6))
        for face in frame.faces:
            if (probability := self.probability(face.track.id)) is not None:
                point = (x, round(bottom - probability * (bottom - top)))
                last_point = self.curve_ends.get(face.track.id, point)
                cv2.line(self.strip, last_point, point, CURVES[face.track.id % len(CURVES)], 2, cv2.LINE_AA)
                self.curve_ends[face.track.id] = point
        for lost in self.curve_ends.keys() - {face.track.id for face in frame.faces}:
            del self.curve_ends[lost]
        out = self.strip.copy()
        cv2.line(out, (x, top), (x, bottom), (60, 60, 60), 1)
        text(out, f"{frame.seconds:.1f} s", (min(max(left, x - 14), right - 90), height - 4))
        return out

    def mark(self, verdict: Verdict, left: int, right: int, y: int) -> None:
        """Draws a threshold, above which the curve of a face has this verdict."""
        for x in range(left, right, 8):
            cv2.line(self.strip, (x, y), (min(x + 4, right), y), COLOURS[verdict], 1)

    def show(self, image: Image, seconds: float) -> None:
        raise NotImplementedError

    def end(self) -> None: ...

    def close(self) -> None: ...


class NoAnnotation(Annotation):
    wanted = False

    def put(self, frame: Frame, scores: Sequence[list[Score]]) -> None:
        self.add_scores(frame, scores)


class AnnotatedImage(Annotation):
    """One image."""

    def __init__(self, index: Index, methods: Sequence[Trained], thresholds: Thresholds, path: Path) -> None:
        super().__init__(index, methods, thresholds)
        self.path = path

    def curves(self, frame: Frame, width: int) -> Image:
        return np.empty((0, width, 3), np.uint8)

    def show(self, image: Image, seconds: float) -> None:
        self.path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())


class AnnotatedVideo(Annotation):
    """An mp4 with the sound of the source."""

    def __init__(
        self, index: Index, methods: Sequence[Trained], thresholds: Thresholds, path: Path, source: Path
    ) -> None:
        super().__init__(index, methods, thresholds)
        self.container: Any = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        options = {"crf": "21", "preset": "ultrafast"}  # a third of the time of veryfast, files 1.7 times as large
        self.stream = self.container.add_stream(
            "libx264", rate=max(1, min(240, round(index.fps or 1))), options=options
        )
        coder = self.stream.codec_context
        coder.pix_fmt, coder.time_base = "yuv420p", Fraction(1, TICKS)
        coder.colorspace, coder.color_range = Colorspace.ITU601, ColorRange.MPEG  # as OpenCV converts
        coder.thread_type = "FRAME"  # nothing waits for the image that it gave
        self.sound = Sound(source, self.container, choose_way(source) if index.is_coded else None)
        self.last = -1
        self.is_open = False  # before, its size can be set

    def show(self, image: Image, seconds: float) -> None:
        if not self.is_open:
            self.stream.height, self.stream.width = image.shape[:2]
            self.is_open = True
        frame = av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), "yuv420p")
        self.last = max(round(seconds * TICKS), self.last + 1)  # some files have a time twice, which no mp4 can
        frame.pts, frame.time_base = self.last, Fraction(1, TICKS)
        packets = self.stream.encode(frame)
        if packets:
            self.sound.write_until(seconds)
        self.container.mux(packets)

    def end(self) -> None:
        self.container.mux(self.stream.encode())
        self.sound.write_until(float("inf"))

    def close(self) -> None:
        self.container.close()
        self.sound.close()


def text(image: Image, content: str, at: tuple[int, int], size: float = 0.36) -> None:
    cv2.putText(image, content, at, cv2.FONT_HERSHEY_SIMPLEX, size, (70, 70, 70), 1, cv2.LINE_AA)


def label(image: Image, content: str, corner: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Above a box, or inside where there is no room."""
    size = 0.5 if min(image.shape[:2]) >= 360 else 0.38
    (w, h), _ = cv2.getTextSize(content, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    x = max(0, min(corner[0], image.shape[1] - w - 6))
    y = corner[1] - h - 8 if corner[1] >= h + 8 else corner[1]
    cv2.rectangle(image, (x, y), (x + w + 6, y + h + 8), colour, -1)
    cv2.putText(image, content, (x + 3, y + h + 3), cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)


def warm(image: Image, heat: Image, region: Region) -> None:
    """Lays a map over a part of an image: nothing where it is 0."""
    if (laid := region.spread(heat, image.shape)) is None:
        return
    part, x, y = laid
    colours = cv2.applyColorMap(part, cv2.COLORMAP_INFERNO)[..., ::-1]
    share = (part.astype(np.float32) / 255 * 0.6)[..., None]
    under = image[y : y + part.shape[0], x : x + part.shape[1]]
    under[:] = (under * (1 - share) + colours * share).astype(np.uint8)
