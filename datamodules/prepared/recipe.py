"""How the faces of a video are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from datamodules.faces.align import Alignment, Cropper
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.image import Format
from datamodules.media.video import Decoder
from datamodules.prepared.contract import LAYOUT, Contract


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

    @property
    def cropper(self) -> Cropper:
        return Cropper(self.margin, self.alignment)

    def contract(self) -> Contract:
        t = self.tracker
        return {
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
