"""When a video is forged: segments proposed from the scores of its frames, their AP and AR against the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.bootstrap import Floats, Interval, Videos, resample

AP_AT = (0.5, 0.75, 0.95)
AR_OF = (100, 50, 20, 10)  # best proposals of each video
IOUS = tuple(0.5 + 0.05 * i for i in range(10))  # that an AR is the mean over
TITLES = {f"time_ap_at_{100 * iou:.0f}": f"AP at IoU {iou:g}" for iou in AP_AT}
TITLES |= {f"time_ar_of_{most}": f"AR of {most} proposals" for most in AR_OF}
BORDER = 4  # a proposal is compared with a part of its length over this to each side
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class TimedVideo:
    """
    Args:
        proposals: (P, 3) confidence, first and last second; the most confident first.
        truths: (G, 2) first and last second of each forged segment.
        person: Whom it was made from, empty where nobody is known.
    """

    proposals: Floats
    truths: Floats
    person: str = ""


def propose(score: Floats, seconds: Floats, duration: float) -> Floats:
    """(P, 3) confidence, start and end of the stretches of time whose frames all score above all of their neighbours.

    A frame stands for the time until half way to its neighbours. A stretch is as sure as its mean score is above that
    of its surroundings.

    Args:
        score: (T,) of the frames that were looked at.
        seconds: (T,) their times, ascending.
        duration: Of the video.
    """
    edges = np.concatenate([[0.0], (seconds[1:] + seconds[:-1]) / 2, [max(duration, seconds[-1])]])
    mass = np.concatenate([[0.0], np.cumsum(score * np.diff(edges))])

    def mean(start: Floats, end: Floats) -> Floats:
        """Of the score over time, 0 where there is none."""
        total = np.interp(end, edges, mass) - np.interp(start, edges, mass)
        return np.divide(total, end - start, out=np.zeros_like(total), where=end > start)

    found = np.array(find_stretches(score), np.int64).reshape(-1, 2)
    start, end = edges[found[:, 0]], edges[found[:, 1] + 1]
    border = (end - start) / BORDER
    before, after = np.maximum(start - border, 0), np.minimum(end + border, edges[-1])
    outside = (start - before) + (after - end)
    around = mean(before, start) * (start - before) + mean(end, after) * (after - end)
    around = np.divide(around, outside, out=np.zeros_like(around), where=outside > 0)
    out = np.stack([mean(start, end) - around, start, end], axis=1)[end > start]
    chosen: Floats = out[np.argsort(-out[:, 0], kind="stable")][: max(AR_OF)]
    return chosen


def find_stretches(score: Floats) -> list[tuple[int, int]]:
    """First and last of each run of frames that are all above some level, and whose neighbours are not."""
    first, last = np.arange(len(score)), np.arange(len(score))  # of the run that begins, or ends, at a frame
    is_above = np.zeros(len(score) + 1, bool)  # that behind the end never is
    order = np.argsort(-score, kind="stable").tolist()  # of one level from the first on: a run keeps its beginning
    out = []
    level: list[int] = []
    for place, i in enumerate(order):
        is_above[i] = True
        begin = int(first[i - 1]) if i and is_above[i - 1] else i
        end = int(last[i + 1]) if is_above[i + 1] else i
        last[begin], first[end] = end, begin
        level.append(begin)
        if place + 1 == len(order) or score[order[place + 1]] < score[i]:
            out += [(start, int(last[start])) for start in dict.fromkeys(level)]  # once all of one level have joined
            level = []
    return out


def overlap(proposals: Floats, truths: Floats) -> Floats:
    """(P, G) intersection over union of each pair of stretches of time."""
    start, end = (proposals[:, i, None] for i in (0, 1))
    shared = (np.minimum(end, truths[:, 1]) - np.maximum(start, truths[:, 0])).clip(0)
    union = (end - start) + (truths[:, 1] - truths[:, 0]) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def match(iou: Floats, least: float) -> Flags:
    """(P,) whether each proposal finds a segment that no better one has found: the one it covers best."""
    hits, is_free = np.zeros(len(iou), bool), np.ones(iou.shape[1], bool)
    for i in np.flatnonzero((iou >= least).any(1)) if iou.size else ():
        best = int(np.argmax(np.where(is_free, iou[i], -1)))
        if is_free[best] and iou[i, best] >= least:
            hits[i], is_free[best] = True, False
    return hits


def average_precision(confidence: Floats, hit: Flags, weight: Floats, segments: float) -> float:
    """Area under the precision that is reached at a recall or at a higher one.

    Args:
        confidence: (P,) of the proposals of all videos, falling.
        hit: (P,) whether each found a segment.
        weight: (P,) how often its video counts.
        segments: Number of true ones, counted so.
    """
    found, made = np.cumsum(weight * hit), np.cumsum(weight)
    last = np.append(confidence[1:] < confidence[:-1], True) if len(confidence) else np.zeros(0, bool)
    last &= made > 0
    found, made = found[last], made[last]
    if not segments:
        return float("nan")
    if not len(made):
        return 0.0
    precision = np.maximum.accumulate((found / made)[::-1])[::-1]
    return float((np.diff(found, prepend=0.0) * precision).sum() / segments)


def measure(videos: Sequence[TimedVideo], resamples: int) -> dict[str, Interval]:
    """AP at each IoU, and AR of each number of proposals, by the ids of TITLES; intervals from resampled people."""
    truths = np.array([len(one.truths) for one in videos], np.float64)
    if not truths.sum():
        return {}
    person, label = np.array([one.person for one in videos], np.str_), (truths > 0).astype(np.int64)
    drawn = Videos(score=np.zeros(len(videos)), label=label, method=person, person=person)
    weights = np.concatenate([np.ones((1, len(videos))), resample(drawn, draws=resamples)])
    ious = [overlap(one.proposals[:, 1:], one.truths) for one in videos]
    owner = np.repeat(np.arange(len(videos)), [len(one.proposals) for one in videos])
    confidence = np.concatenate([one.proposals[:, 0] for one in videos])
    order = np.argsort(-confidence, kind="stable")
    segments = weights @ truths
    out = {}
    for least in AP_AT:
        hit = np.concatenate([match(iou, least) for iou in ious])[order]
        values = [
            average_precision(confidence[order], hit, weight[owner[order]], count)
            for weight, count in zip(weights, segments, strict=True)
        ]
        out[f"time_ap_at_{100 * least:.0f}"] = summarize(np.array(values))
    for most in AR_OF:
        found = np.array([[match(iou[:most], least).sum() for least in IOUS] for iou in ious], np.float64).mean(1)
        out[f"time_ar_of_{most}"] = summarize((weights @ found) / segments)
    return out


def summarize(values: Floats) -> Interval:
    """
    Args:
        values: (1 + R,) as it is, and of each resample.
    """
    low, high = np.nanpercentile(values[1:], [2.5, 97.5]) if len(values) > 1 else (np.nan, np.nan)
    return Interval(value=float(values[0]), low=float(low), high=float(high))


def as_truths(periods: Sequence[tuple[float, float]]) -> Floats:
    """(G, 2), of none too."""
    return np.array(periods, np.float64).reshape(-1, 2)
