"""Which faces, and which of their sampled frames, can be judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.landmarks.base import PRESENCE
from datamodules.faces.quality import PITCH, YAW, Quality
from datamodules.media.damage import say_damage
from datamodules.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a face in a frame cannot be judged."""

    kind: str  # "seen from the side"
    value: float
    limit: float
    form: str  # of the measure: "yaw {:.0f}°"

    def say(self) -> str:
        return f"{self.kind} ({self.form.format(self.value)}, limit {self.form.format(self.limit).split()[-1]})"


@dataclass(frozen=True, kw_only=True)
class Usable:
    """What a face, and the file that it is in, must have to be judged; its frames that lack it are left out.

    Args:
        side: Longer side of its box, in pixels.
        frames: Usable sampled frames of it, at least; all of a shorter clip.
        sharpness: Variance of the Laplacian of the inner half of its crop, at 48 pixels; sharp photographs have 100 and
            more, and 8 what a Gaussian of 3 to 4 % of the width of the face leaves of them.
        yaw: Most degrees that a head may be turned to a side, where landmarks tell.
        pitch: Most degrees that a head may be turned up or down, where landmarks tell.
        outside: Largest share of the crop that may be beyond the edge of the frame.
        unexposed: Largest share of the inner half of the crop that may be nearly black or white.
        presence: Least probability that it is a face, where the landmark model tells.
        damaged: Largest share of the frames of a file that its decoder calls damaged, or that are predicted from such
            ones; they are never scored.
        distance: How far it may be from the faces that the network was trained on, over the limit that validation
            found: 99 % of its faces are nearer. Of an ensemble at least half of the methods decide.
    """

    side: int = 48
    frames: int = 4
    sharpness: float = 8.0
    yaw: float = YAW
    pitch: float = PITCH
    outside: float = 0.4
    unexposed: float = 0.5
    presence: float = PRESENCE
    damaged: float = 0.05
    distance: float = 1.0

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UserError(f"usable.frames {self.frames}: must be at least 1")
        if not 0 < self.distance < float("inf"):
            raise UserError(f"usable.distance {self.distance}: must be above 0 and finite")
        for name in ("outside", "unexposed", "presence", "damaged"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"usable.{name} {getattr(self, name)}: must be between 0 and 1")
        for name in ("yaw", "pitch"):
            if not 0 < getattr(self, name) <= 180:
                raise UserError(f"usable.{name} {getattr(self, name)}: must be above 0 and at most 180 degrees")

    def reject_damage(self, damage: NDArray[np.bool_]) -> str:
        """The reason not to judge a file of which some frames are damaged, empty where there is none.

        Args:
            damage: (N,) whether each frame is.
        """
        if damage.mean() <= self.damaged:
            return ""
        return f"{say_damage(damage)}, must be at most {self.damaged:.0%}"

    def find_fault(self, quality: Quality) -> Fault | None:
        """The first thing that a face lacks in a frame; what was not measured lacks nothing."""
        q = quality
        # a face that is turned or cut off is blurred for that reason: the cause comes first
        rules = [
            ("hardly a face", q.presence < self.presence, q.presence, self.presence, "presence {:.2f}"),
            ("seen from the side", abs(q.yaw) > self.yaw, abs(q.yaw), self.yaw, "yaw {:.0f}°"),
            ("seen from above or below", abs(q.pitch) > self.pitch, abs(q.pitch), self.pitch, "pitch {:.0f}°"),
            ("cut off by the edge", q.outside > self.outside, q.outside, self.outside, "outside {:.0%}"),
            ("too small", q.side < self.side, q.side, self.side, "pixels {:.0f}"),
            ("too dark or too bright", q.unexposed > self.unexposed, q.unexposed, self.unexposed, "unexposed {:.0%}"),
            ("too blurred", q.sharpness < self.sharpness, q.sharpness, self.sharpness, "sharpness {:.1f}"),
        ]
        for kind, is_lacking, value, limit, form in rules:
            if is_lacking:
                return Fault(kind=kind, value=value, limit=limit, form=form)
        return None

    def explain(self, usable: int, faults: Sequence[Fault], most: int) -> list[str]:
        """Why a face is not judged: the commonest of the reasons to leave its frames out. Empty where it is judged.

        Args:
            usable: Its sampled frames that are.
            faults: Of its other ones.
            most: Sampled frames that any face of this file could have.
        """
        needed = min(self.frames, most)
        if usable >= needed:
            return []
        if not faults:
            return [f"too short ({usable} usable frames, limit {needed})"]
        kind, count = Counter(fault.kind for fault in faults).most_common(1)[0]
        alike = [fault for fault in faults if fault.kind == kind]
        typical = min(alike, key=lambda fault: abs(fault.value - median(one.value for one in alike)))
        if most == 1:  # an image
            return [typical.say()]
        return [f"{typical.say()} in {count} of {usable + len(faults)} sampled frames"]
