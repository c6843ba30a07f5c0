"""A trained detector for programs: faces are found and cut as in its training, and what it says is calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.batch import Sample
from datamodules.loading.clips import to_frames
from datamodules.runtime.errors import UserError
from lightning_modules.hub_folder import fetch
from lightning_modules.trained_method import Trained
from suite.detect.analyzer import DEFAULT, Analyzer, DetectSettings
from suite.detect.familiarity import Distance, explain_unlike
from suite.detect.scorer import predict
from suite.detect.thresholds import Thresholds, Verdict
from suite.detect.verdict import FaceVerdict, MethodVerdict

Images = NDArray[np.uint8] | Tensor | str | Path


@dataclass(frozen=True, kw_only=True)
class FaceScore:
    """What a detector says of one face, of an image or of a whole video."""

    image: int  # which of those that were given
    square: tuple[float, float, float] | None  # x, y and side of what it saw, in pixels; of its most suspicious frame
    probability: float  # of a forgery, calibrated
    verdict: Verdict  # that 'detect' would give
    thresholds: Thresholds  # of the probability
    map: NDArray[np.float32] | None  # (h, w) probability of each place of the square, from detectors that localize
    reasons: list[str]  # why 'detect' would give no verdict: the probability of such a face means little


class Detector:
    """Scores images and videos."""

    def __init__(self, path: Path, settings: DetectSettings | None = None) -> None:
        """
        Args:
            path: A run, a checkpoint or an exported folder.
            settings: Those of 'detect'.
        """
        self.analyzer = Analyzer([path], settings or DetectSettings())

    @property
    def trained_method(self) -> Trained:
        return self.analyzer.methods[0]

    @property
    def method(self) -> torch.nn.Module:
        """The network, whose ``predict`` maps a Batch to logits."""
        return self.trained_method.method

    def score(self, images: Images, are_crops: bool = False) -> list[FaceScore]:
        """
        Args:
            images: RGB: (H, W, 3) or (N, H, W, 3) bytes; a tensor of (3, H, W) or (N, 3, H, W), bytes or numbers in
                [0, 1]; or the path of an image or a video. Each face that could be cut from a sampled frame (a sampled
                clip, for a detector of clips) gets one score; of others there is nothing to score, and they are left
                out.
            are_crops: Squares of faces that were cut as the contract says, in which none is looked for; (N, T, ...) for
                a detector of clips. They are resized and coded here as those of a file are.
        """
        if isinstance(images, str | Path):
            if are_crops:
                raise UserError(f"{images}: crops are given as an array or a tensor; a path is searched for faces")
            return self.score_file(Path(images), 0)
        pixels = to_uint8(images)
        if are_crops:
            return self.score_crops(pixels)
        if pixels.ndim not in (3, 4):
            raise UserError(
                f"images of shape {tuple(images.shape)}: must be one image or (N, ...); clips need are_crops"
            )
        out = []
        with TemporaryDirectory() as folder:
            for i, image in enumerate(pixels if pixels.ndim == 4 else pixels[None]):
                path = Path(folder) / f"{i}.png"  # lossless: what is found in a file is found here
                cv2.imwrite(str(path), image[..., ::-1])
                out += self.score_file(path, i)
        return out

    def score_file(self, path: Path, image: int) -> list[FaceScore]:
        pipeline = self.analyzer.pipeline
        found = pipeline.analyze(path, None, self.analyzer.limits)
        if not found.faces and (reason := pipeline.usable.reject_damage(found.damage)):
            raise UserError(f"{path}: {reason}")
        return [score_of(face, face.method_verdicts[0], image) for face in found.faces if face.method_verdicts]

    def score_crops(self, pixels: NDArray[np.uint8]) -> list[FaceScore]:
        trained = self.trained_method
        length = int(trained.contract["clip"])
        if trained.method.needs_landmarks:
            raise UserError(f"{trained.path}: needs landmarks, which crops lack; give whole images")
        if length == 1 and pixels.ndim in (3, 4):
            pixels = pixels.reshape(-1, 1, *pixels.shape[-3:])
        if pixels.ndim != 5 or pixels.shape[1] != length:
            raise UserError(f"crops of shape {pixels.shape}: {trained.path} needs (N, {length}, H, W, 3)")
        if pixels.shape[2] != pixels.shape[3]:
            raise UserError(f"crops of {pixels.shape[2]} x {pixels.shape[3]} pixels: must be square, as faces are cut")
        pipeline = self.analyzer.pipeline
        scorer = pipeline.scorers[0]
        samples = [sample_of([scorer.store(one) for one in clip]) for clip in pixels]
        out: list[FaceScore] = []
        for begin in range(0, len(samples), scorer.batch):
            prediction, distances = predict(trained, samples[begin : begin + scorer.batch], scorer.device)
            masks = None if prediction.mask_logit is None else prediction.mask_logit[:, 0, 0].float().sigmoid().cpu()
            for i, score in enumerate(prediction.logit.float().sigmoid().tolist()):
                far = [] if distances is None else [distance_of(trained, distances[i])]
                reasons = explain_unlike(far, pipeline.usable.distance)
                probability = trained.calibrate(score)
                out.append(
                    FaceScore(
                        image=begin + i,
                        square=None,
                        probability=probability,
                        verdict="no verdict" if reasons else pipeline.thresholds.verdict(probability),
                        thresholds=pipeline.thresholds,
                        map=None if masks is None else masks[i].numpy(),
                        reasons=reasons,
                    )
                )
        return out


def distance_of(trained: Trained, value: float) -> Distance:
    assert trained.method.familiarity is not None
    return Distance(name=trained.name, value=value, limit=float(trained.method.familiarity.limit))


def score_of(face: FaceVerdict, method_verdict: MethodVerdict, image: int) -> FaceScore:
    worst = max(method_verdict.usable_scores or method_verdict.scores, key=lambda one: one.score)
    return FaceScore(
        image=image,
        square=(worst.region.x, worst.region.y, worst.region.side),
        probability=method_verdict.probability,
        verdict=face.verdict,
        thresholds=face.thresholds,
        map=None if worst.heat is None else (worst.heat / 255).astype(np.float32),
        reasons=face.reasons,
    )


def to_uint8(images: NDArray[np.uint8] | Tensor) -> NDArray[np.uint8]:
    """(..., H, W, 3), whatever was given."""
    if not isinstance(images, np.ndarray | Tensor):
        what = "must be an array, a tensor or the path of one file; np.asarray(image) is that of a PIL image"
        raise UserError(f"images of type {type(images).__name__}: {what}")
    given, kind = tuple(images.shape), str(images.dtype)
    wanted = "must be bytes of shape (H, W, 3) or (N, H, W, 3), or a tensor (3, H, W) or (N, 3, H, W)"
    if 0 in given:
        raise UserError(f"images of shape {given} and {kind}: {wanted}")
    if isinstance(images, Tensor):
        images = images.detach().cpu()
        if images.is_floating_point():
            if not (images.isfinite().all() and images.min() >= 0 and images.max() <= 1):
                raise UserError(f"images of {kind}: must be in [0, 1]; give bytes, or divide by 255")
            images = (255 * images).round().byte()
        images = images.movedim(-3, -1).numpy() if images.ndim > 2 else images.numpy()
    if images.dtype != np.uint8 or images.ndim < 3 or images.shape[-1] != 3:
        raise UserError(f"images of shape {given} and {kind}: {wanted}")
    return images


def sample_of(crops: Sequence[NDArray[np.uint8]]) -> Sample:
    frames = to_frames(list(crops))
    return Sample(
        frames=frames, label=0, mask=None, landmarks=None, video="", track=0, numbers=torch.arange(len(frames))
    )


def from_pretrained(name: str | Path = DEFAULT, settings: DetectSettings | None = None) -> Detector:
    """
    Args:
        name: A run, a checkpoint, a folder that 'export --format hub' wrote, or the name of such a repository on the
            Hugging Face hub; without it the detector that comes with the suite.
        settings: Those of 'detect'.
    """
    return Detector(fetch(name), settings)
