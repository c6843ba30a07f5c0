"""Videos of which no metric of a test says anything, since none of their faces is long enough for a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from datamodules.loading.clips import Clips

KEY = "without_clip"  # of a table of predictions


def list_without_clip(clips: Clips) -> list[str]:
    has_clip = np.zeros(len(clips.known.videos), bool)
    has_clip[clips.known.owner[clips.sizes(1) > 0]] = True
    found: list[str] = clips.known.keys.filter(pa.array(~has_clip)).to_pylist()
    return found
