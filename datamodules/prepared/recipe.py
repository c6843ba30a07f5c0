"""How the faces of a video are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.align import Alignment, Cropper
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.manifest import Video
from datamodules.media.image import HALF, Format
from datamodules.media.video import Decoder
from datamodules.prepared.contract import LAYOUT, Contract
from datamodules.segments import check_rate, find_forged
from datamodules.spacing import space_evenly

PER_SEGMENT = 4  # a forged segment gives the frames of a recipe over this


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the pixels of a crop."""

    decoder: Decoder
    tracker: FaceTracker
    size: int = 256
    margin: float = 1.3
    alignment: Alignment = "none"
    frames: int = 32
    tracks: int = 1
    format: Format = "png"
    store: Literal["files", "shards"] = "files"
    mask_threshold: int = HALF

    @property
    def cropper(self) -> Cropper:
        return Cropper(self.margin, self.alignment)

    def choose_frames(self, row: Video, times: NDArray[np.float64]) -> set[int]:
        """Those that are cropped, of a video whose frames are counted: spaced over all of it.

        A partly forged one that trains gives a quarter as many of each segment, too: short ones would give none, and
        what is outside is not trained on. One that validates or tests does not: it would have more forged frames than
        its share, which only its label can tell.

        Args:
            times: Seconds of all frames.
        """
        check_rate(row.fake_segments, row.fps, row.path)
        chosen = set(space_evenly(row.frames, self.frames))
        for segment in row.fake_segments.split() if row.split == "train" else ():
            inside = np.flatnonzero(find_forged(segment, row.fps, range(row.frames), row.path, times)).tolist()
            chosen |= {inside[i] for i in space_evenly(len(inside), max(1, self.frames // PER_SEGMENT))}
        return chosen

    def contract(self) -> Contract:
        t = self.tracker
        soft: Contract = {} if self.mask_threshold == HALF else {"mask_threshold": self.mask_threshold}
        return soft | {
            "layout": LAYOUT,
            "decoder": self.decoder.family,
            "detector": t.detector.fingerprint(),
            "landmarks": t.landmarks.fingerprint(),
            "search_every": t.search_every,
            "search_last": 1,  # the last frame, too
            "smallest": t.min_face,
            "patience": t.patience,
            "shortest": t.min_frames,
            "smooth": t.landmark_smoothing,
            "steady": t.box_smoothing,
            "room": t.landmark_margin,
            "alignment": self.alignment,
            "margin": self.margin,
            "size": self.size,
            "frames": self.frames,
            "tracks": self.tracks,
            "colour": "RGB",
            "format": self.format,
            "store": self.store,
        }
