"""A track that may go on: how the face looked, and where it is expected."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from datamodules.faces.detection.base import Floats
from datamodules.faces.tracking.appearance import is_grey, similarity
from datamodules.faces.tracking.track import Sighting, Track

LOOKS, LOOK_EVERY = 5, 5  # how many a track remembers, and frames from one to the next


@dataclass(slots=True, eq=False)
class Lead:
    """What is known of a track that may go on."""

    track: Track
    looks: deque[Floats] = field(default_factory=lambda: deque(maxlen=LOOKS))
    waiting: deque[tuple[int, Floats]] = field(default_factory=deque)

    @property
    def last_sighting(self) -> Sighting:
        return self.track.sightings[-1]

    def remember(self, frame: int, look: Floats) -> None:
        """Looks count once the face was followed for some frames more: what comes before it hides it bit by bit."""
        if not self.looks:
            self.looks.append(look)
        if not self.waiting or frame - self.waiting[-1][0] >= LOOK_EVERY:
            self.waiting.append((frame, look))
        while self.waiting and frame - self.waiting[0][0] >= LOOK_EVERY:
            self.looks.append(self.waiting.popleft()[1])

    def likeness(self, look: Floats) -> float:
        return max(similarity(look, one) for one in (*self.looks, *(one for _, one in self.waiting)))

    def settled_likeness(self, look: Floats) -> float:
        return max(similarity(look, one) for one in self.looks)

    def can_tell(self, look: Floats) -> bool:
        """Whether colours can tell that a face that was hidden is another."""
        return not (is_grey(look) and is_grey(self.looks[-1]))

    def predict(self, frame: int) -> Floats:
        """The box where the face is expected."""
        last, gap = self.last_sighting, frame - self.last_sighting.frame
        if gap == 1:
            return last.found.box
        before = next((one for one in reversed(self.track.sightings) if one.frame <= last.frame - 8), None)
        if before is None or last.frame - before.frame > 12:
            return last.found.box
        moved = centre_of(last.found.box) - centre_of(before.found.box)
        shift = moved / (last.frame - before.frame) * min(gap, 16)
        return (last.found.box + np.tile(shift, 2)).astype(np.float32)


def centre_of(box: Floats) -> Floats:
    return ((box[:2] + box[2:]) / 2).astype(np.float32)
