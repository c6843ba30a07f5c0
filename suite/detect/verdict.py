"""From scores of frames to what is said of a face and of a file, and when nothing can be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isnan
from statistics import fmean, median

import torch

from datamodules.faces.quality import Quality
from datamodules.faces.tracking.track import Track
from lightning_modules.metrics import functional
from lightning_modules.trained_method import Trained
from suite.detect.familiarity import Distance, explain_unlike
from suite.detect.scorer import Score
from suite.detect.thresholds import Thresholds, Verdict
from suite.detect.usable import Usable


@dataclass(frozen=True, kw_only=True)
class MethodVerdict:
    """By one method of one face."""

    by: Trained
    scores: list[Score]
    score: float  # of its usable frames, as a test pools those of a video; of all where none is usable
    probability: float  # after calibration

    @property
    def usable_scores(self) -> list[Score]:
        return [one for one in self.scores if one.fault is None]

    @property
    def distance(self) -> Distance | None:
        """Median over its usable frames, of all where none is usable; nothing where its checkpoint cannot tell."""
        known = [one.distance for one in self.usable_scores or self.scores if one.distance is not None]
        if self.by.method.familiarity is None or not known:
            return None
        return Distance(name=self.by.name, value=median(known), limit=float(self.by.method.familiarity.limit))


@dataclass(frozen=True, kw_only=True)
class FaceVerdict:
    track: Track
    first: float  # seconds
    last: float
    quality: dict[str, float]  # medians over its sampled frames, of what is known
    left_out: dict[str, int]  # sampled frames that have no part in the verdict, by the kind of their fault
    method_verdicts: list[MethodVerdict]
    probability: float | None  # mean over the methods; None where nothing can be said
    thresholds: Thresholds
    reasons: list[str]  # why nothing is said

    @property
    def verdict(self) -> Verdict:
        if self.probability is None:
            return "no verdict"
        return self.thresholds.verdict(self.probability)


def take_medians(seen: Sequence[Quality]) -> dict[str, float]:
    """Medians of what is known."""
    known = {one.name: [v for v in (getattr(q, one.name) for q in seen) if not isnan(v)] for one in fields(Quality)}
    return {name: median(values) for name, values in known.items() if values}


def pool_scores(trained: Trained, scores: Sequence[Score]) -> float:
    values = torch.tensor([one.score for one in scores], dtype=torch.float64)
    nothing = torch.zeros(len(scores), dtype=torch.long)
    frames = torch.tensor([one.frame for one in scores])
    return float(functional.pool_by_video(values, nothing, nothing, frames, trained.method.score_pooling).score)


def judge_face(
    track: Track,
    scores: Sequence[tuple[Trained, list[Score]]],
    times: Sequence[float],
    usable: Usable,
    most: int,
    thresholds: Thresholds,
    damage: str = "",
) -> FaceVerdict:
    """
    Args:
        scores: Of this face, by each method.
        times: In seconds, of all frames.
        most: Sampled frames that any face of this file could have.
        damage: Why the whole file is not judged, if it is not.
    """
    method_verdicts = []
    for trained, mine in scores:
        if mine:
            score = pool_scores(trained, [one for one in mine if one.fault is None] or mine)
            method_verdicts.append(
                MethodVerdict(by=trained, scores=mine, score=score, probability=trained.calibrate(score))
            )
    # methods cut the same face by margins of their own: the one that has least of it decides
    least = min((mine for _, mine in scores), key=lambda mine: sum(one.fault is None for one in mine))
    faults = [one.fault for one in least if one.fault is not None]
    reasons = [damage] if damage else usable.explain(len(least) - len(faults), faults, most)
    distances = [one.distance for one in method_verdicts if one.distance is not None]
    reasons = reasons or explain_unlike(distances, usable.distance)
    return FaceVerdict(
        track=track,
        first=times[track.frames[0]],
        last=times[track.frames[-1]],
        quality=take_medians([score.quality for one in method_verdicts for score in one.scores]),
        left_out=dict(Counter(fault.kind for fault in faults).most_common()),
        method_verdicts=method_verdicts,
        probability=None if reasons or not method_verdicts else fmean(one.probability for one in method_verdicts),
        thresholds=thresholds,
        reasons=reasons,
    )


def judge_file(faces: Sequence[FaceVerdict], glimpses: int, damage: str = "") -> tuple[Verdict, list[str]]:
    """That of the most suspicious face that can be judged.

    Args:
        glimpses: Faces that were seen too shortly to be followed.
        damage: Why the whole file is not judged, if it is not.
    """
    if damage:
        return "no verdict", [damage]
    verdicts = {face.verdict for face in faces}
    if "forged" in verdicts:
        return "forged", []
    without = [face for face in faces if face.verdict == "no verdict"]
    reasons = [f"face {face.track.id}: {reason}" for face in without for reason in face.reasons]
    if verdicts - {"no verdict"}:
        return "unclear" if "unclear" in verdicts else "no forgery found", reasons
    return "no verdict", reasons or [f"{glimpses} faces were seen too shortly" if glimpses else "no face was found"]
