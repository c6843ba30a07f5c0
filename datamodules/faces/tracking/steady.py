"""Boxes that do not jump: smoothed over a track in both directions, so that they do not lag, and large enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.detection.base import Floats
from datamodules.faces.tracking.track import Sighting, Track

WIDTHS = 2.5  # standard deviations of the Gaussian from its middle to the end of the window
TAIL = 6.0  # standard deviations, beyond which a Gaussian of landmarks weighs nothing in float32
SLACK = 1.5  # pixels by which a square that is rounded to whole ones may miss a point


def steady_all(track: Track, reach: int, room: float) -> None:
    """Sets the box of every sighting of a track."""
    for at in range(len(track)):
        steady(track, at, reach, room)


def steady(track: Track, at: int, reach: int, room: float) -> None:
    """Sets the box of one sighting: a line in time, fitted to the boxes of its neighbours.

    The same numbers come out while a video is being watched and afterwards, since no frame further than ``reach`` away
    has a part in them, and none beyond a gap.

    Args:
        at: Place in the track.
        reach: Frames before and after that have a part.
        room: Margin of the narrowest square that is to hold all landmarks; 0 asks nothing of them.
    """
    one = track.sightings[at]
    around = find_neighbours(track.sightings, at, reach)
    for other in around:
        if other.grown is None:
            other.grown = enclose(other.found.box, other.face.points, room, 0.0)
    boxes = np.stack([other.grown for other in around if other.grown is not None])
    box = fit_line(np.array([other.frame - one.frame for other in around]), boxes, reach) if reach else boxes[0]
    one.box = enclose(box, one.face.points, room, SLACK)


def find_neighbours(sightings: list[Sighting], at: int, reach: int) -> list[Sighting]:
    """Those of a window without a gap, in order, the one in its middle too."""
    first = last = at
    while first > 0 and at - first < reach and sightings[first - 1].frame == sightings[first].frame - 1:
        first -= 1
    while last + 1 < len(sightings) and last - at < reach and sightings[last + 1].frame == sightings[last].frame + 1:
        last += 1
    return sightings[first : last + 1]


def fit_line(offsets: NDArray[np.int64], boxes: Floats, reach: int) -> Floats:
    """(4,) of a straight line at offset 0, weighted least squares: at the ends of a track a mean would lag.

    Args:
        boxes: (N, 4).
    """
    t = offsets.astype(np.float64)
    weight = np.exp(-0.5 * (t * (WIDTHS / reach)) ** 2)
    weight /= weight.sum()
    middle, values = weight @ t, boxes.astype(np.float64)
    mean = weight @ values
    spread = weight @ (t - middle) ** 2
    if spread < 1e-9:
        return mean.astype(np.float32)
    slope = (weight * (t - middle)) @ values / spread
    return (mean - slope * middle).astype(np.float32)


def enclose(box: Floats, points: Floats, room: float, slack: float) -> Floats:
    """The box, grown about its centre if its square with the margin ``room`` lacks a point."""
    if room <= 0:
        return box
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    needed = (float(np.abs(points - centre).max()) + slack) / room
    longer = float(half.max())
    if needed <= longer:
        return box
    half = half * np.float32(needed / longer)
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def smooth_points(track: Track, sigma: float) -> list[Floats]:
    """The (68, 2) of each sighting as the Gaussian mean of its neighbours in time."""
    return list(smooth(np.asarray(track.frames), np.stack(track.landmarks), sigma))


def smooth(frames: NDArray[np.int64], points: Floats, sigma: float) -> Floats:
    """Each (68, 2) as the Gaussian mean of its neighbours in time.

    Args:
        frames: (N,) in ascending order.
        points: (N, 68, 2).
    """
    first, last = (
        np.searchsorted(frames, frames - TAIL * sigma),
        np.searchsorted(frames, frames + TAIL * sigma, "right"),
    )
    out = np.empty(points.shape, np.float32)
    for at, (low, high) in enumerate(zip(first, last, strict=True)):
        weight = np.exp(-0.5 * ((frames[low:high] - frames[at]) / sigma) ** 2)
        out[at] = np.tensordot(weight / weight.sum(), points[low:high], 1)
    return out
