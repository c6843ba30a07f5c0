"""From scores of moments to what is said of a face and of a file, and when nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.damage import say_damage
from datamodules.errors import Refused
from datamodules.faces.track import Track
from lightning_modules.metrics import functional
from lightning_modules.trained import Trained
from suite.detection.score import Score

Verdict = Literal["forged", "no forgery found", "no verdict"]


@dataclass(frozen=True, kw_only=True)
class Usable:
    """What a face, and the file that it is in, must have to be judged.

    Args:
        side: Median side of its box, in pixels.
        moments: Of it that were scored, or all of a shorter clip.
        sharpness: Median variance of the Laplacian of the inner half of its crop, at 48 pixels; sharp photographs have
            100 and more, and 8 what a Gaussian of 3 to 4 % of the width of the face leaves of them.
        damaged: Largest share of the frames of a file that its decoder calls damaged, or that are predicted from such
            ones; they are never scored.
    """

    side: int = 48
    moments: int = 4
    sharpness: float = 8.0
    damaged: float = 0.05

    def __post_init__(self) -> None:
        if self.moments < 1:
            raise Refused(f"usable.moments {self.moments}: must be at least 1")
        if not 0 <= self.damaged <= 1:
            raise Refused(f"usable.damaged {self.damaged}: must be between 0 and 1")

    def reject_damage(self, damage: NDArray[np.bool_]) -> str:
        """The reason not to judge a file of which some frames are damaged, empty where there is none.

        Args:
            damage: (N,) whether each frame is.
        """
        if damage.mean() <= self.damaged:
            return ""
        return f"{say_damage(damage)}, must be at most {self.damaged:.0%}"

    def reasons(self, side: float, moments: int, sharpness: float, most: int) -> list[str]:
        """
        Args:
            most: Moments that any face of this file could have.
        """
        found = []
        if side < self.side:
            found.append(f"too small: {side:.0f} pixels, must be {self.side}")
        if moments < min(self.moments, most):
            found.append(f"too short: {moments} scored moments, must be {min(self.moments, most)}")
        if moments and sharpness < self.sharpness:
            found.append(f"too blurred: sharpness {sharpness:.1f}, must be {self.sharpness:g}")
        return found


@dataclass(frozen=True, kw_only=True)
class Said:
    """By one method of one face."""

    by: Trained
    moments: list[Score]
    score: float  # of all moments, as a test pools those of a video
    probability: float  # after calibration


@dataclass(frozen=True, kw_only=True)
class FaceVerdict:
    track: Track
    first: float  # seconds
    last: float
    side: float  # median, pixels
    sharpness: float  # median
    said: list[Said]
    probability: float | None  # mean over the methods; None where nothing can be said
    threshold: float
    reasons: list[str]  # why nothing is said

    @property
    def verdict(self) -> Verdict:
        if self.probability is None:
            return "no verdict"
        return "forged" if self.probability >= self.threshold else "no forgery found"


def pooled(trained: Trained, moments: Sequence[Score]) -> float:
    score = torch.tensor([moment.score for moment in moments], dtype=torch.float64)
    nothing = torch.zeros(len(moments), dtype=torch.long)
    frames = torch.tensor([moment.frame for moment in moments])
    return float(functional.by_video(score, nothing, nothing, frames, trained.method.mean_of).score)


def of_face(
    track: Track,
    moments: Sequence[tuple[Trained, list[Score]]],
    times: Sequence[float],
    usable: Usable,
    most: int,
    damage: str = "",
) -> FaceVerdict:
    """
    Args:
        moments: Of this face, by each method.
        times: In seconds, of all frames.
        most: Moments that any face of this file could have.
        damage: Why the whole file is not judged, if it is not.
    """
    said = []
    for trained, mine in moments:
        if mine:
            score = pooled(trained, mine)
            said.append(Said(by=trained, moments=mine, score=score, probability=trained.calibrated(score)))
    side = median(float(max(box[2] - box[0], box[3] - box[1])) for box in track.boxes)
    count = min(len(mine) for _, mine in moments)
    sharp = median([moment.sharpness for one in said for moment in one.moments] or [0.0])
    reasons = [damage] if damage else usable.reasons(side, count, sharp, most)
    return FaceVerdict(
        track=track,
        first=times[track.frames[0]],
        last=times[track.frames[-1]],
        side=side,
        sharpness=sharp,
        said=said,
        probability=None if reasons or not said else fmean(one.probability for one in said),
        threshold=fmean(trained.threshold for trained, _ in moments),
        reasons=reasons,
    )


def of_file(faces: Sequence[FaceVerdict], glimpses: int, damage: str = "") -> tuple[Verdict, list[str]]:
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
    if "no forgery found" in verdicts:
        return "no forgery found", reasons
    return "no verdict", reasons or [f"{glimpses} faces were seen too shortly" if glimpses else "no face was found"]
