"""How well the scores of frames tell when a partly forged video is forged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.segments import list_seconds
from lightning_modules.metrics import bootstrap, resampling, temporal
from lightning_modules.metrics.bootstrap import Floats, Interval
from lightning_modules.metrics.temporal import TimedVideo
from suite.run_metrics import Run

FEWER = 10  # times as few resamples as elsewhere: each goes over all proposals


@dataclass(frozen=True, kw_only=True)
class TimeLocalization:
    """
    Args:
        videos: Those of sets of which some are forged in parts.
        segments: Their forged segments.
        step: Median seconds from one frame that was scored to the next: no proposal can be more exact.
        metrics: By their ids, see temporal.TITLES.
    """

    videos: int
    segments: int
    step: float
    metrics: dict[str, Interval]
    resamples: int

    @property
    def texts(self) -> dict[str, str]:
        """By their titles."""
        return {temporal.TITLES[id]: str(one) for id, one in self.metrics.items()}


def localize_in_time(run: Run) -> TimeLocalization | None:
    """None where no set says when its videos are forged, or their frames have no rate."""
    if "fake_segments" not in run.table:
        return None
    chosen = np.array([text is not None for text in run.table["fake_segments"]], bool)
    chosen[chosen] = run.table["fps"][chosen].astype(np.float64) > 0
    if not chosen.any():
        return None
    videos, steps = [], []
    table = {name: column[chosen] for name, column in run.table.items()}
    for rows, seconds, score in list_frame_scores(table):
        duration = float(rows["video_frames"]) / float(rows["fps"])
        spans = list_seconds(rows["fake_segments"], float(rows["fps"]))
        spans = spans or ([(0.0, duration)] if rows["label"] else [])
        truths = [(start, min(end, duration)) for start, end in spans if start < duration]
        proposals = temporal.propose(score, seconds, duration)
        videos.append(TimedVideo(proposals=proposals, truths=temporal.as_truths(truths), person=rows["person"]))
        steps += np.diff(seconds).tolist()
    resamples = resampling.RESAMPLES // FEWER
    found = temporal.measure(videos, resamples)
    return (
        TimeLocalization(
            videos=len(videos),
            segments=sum(len(one.truths) for one in videos),
            step=float(np.median(steps)) if steps else 0.0,
            metrics=found,
            resamples=resamples,
        )
        if found
        else None
    )


def list_frame_scores(table: Mapping[str, NDArray[Any]]) -> Iterator[tuple[dict[str, Any], Floats, Floats]]:
    """Of each video a row, the seconds of the middles of its frames, and the most suspicious score of each."""
    _, number = np.unique(table["video"].astype(str), return_inverse=True)
    order = np.lexsort((-table["score"], table["frame"], number))
    number, frame = number[order], table["frame"][order]
    is_first = np.append(True, (np.diff(number) != 0) | (np.diff(frame) != 0))  # of the faces of a frame
    order, number = order[is_first], number[is_first]
    parts = np.split(order, np.flatnonzero(np.diff(number)) + 1)
    people = bootstrap.people(table, np.array([part[0] for part in parts]))
    for i, part in enumerate(parts):
        row = {name: table[name][part[0]] for name in ("fps", "video_frames", "fake_segments", "label")}
        row["person"] = "" if people is None else str(people[i])
        seconds = (table["frame"][part].astype(np.float64) + 0.5) / float(row["fps"])
        yield row, seconds, table["score"][part].astype(np.float64)
