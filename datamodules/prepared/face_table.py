"""What the table of faces says of each sighting: a column more is a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from datamodules.faces.tracking.track import Sighting, Track

POINTS = pa.list_(pa.float32(), 136)
COLUMNS: dict[str, tuple[pa.DataType, Callable[[Sighting], Any]]] = {
    "x0": (pa.float32(), lambda one: one.box[0]),  # the steady box, which crops are cut around
    "y0": (pa.float32(), lambda one: one.box[1]),
    "x1": (pa.float32(), lambda one: one.box[2]),
    "y1": (pa.float32(), lambda one: one.box[3]),
    "score": (pa.float32(), lambda one: one.found.score),  # of the detector; nan where none had to look
    "presence": (pa.float32(), lambda one: one.face.presence),  # of a face, says the landmark model; nan if it does not
    "found_by": (pa.string(), lambda one: one.found_by),
    "yaw": (pa.float32(), lambda one: one.pose.yaw),  # degrees; nan without landmarks
    "pitch": (pa.float32(), lambda one: one.pose.pitch),
    "roll": (pa.float32(), lambda one: one.pose.roll),
    "landmarks": (POINTS, lambda one: one.face.points.ravel()),
}
FACES = pa.schema(
    [("video", pa.string()), ("track", pa.int32()), ("frame", pa.int32()), ("time", pa.float64())]
    + [(name, type) for name, (type, _) in COLUMNS.items()]
    + [("masked", pa.float32())]  # share of the track's boxes that the mask covers
)


def tabulate(video: str, track: Track, times: Mapping[int, float], masked: float) -> pa.Table:
    """The rows of one track, in order of time.

    Args:
        masked: Share of its boxes that the mask covers; nan without masks.
    """
    rows = len(track)
    same = {"video": [video] * rows, "track": [track.id] * rows, "masked": [masked] * rows}
    columns = {name: [value(one) for one in track] for name, (_, value) in COLUMNS.items()}
    return pa.table({"frame": track.frames, "time": [times[i] for i in track.frames], **same, **columns}, schema=FACES)
