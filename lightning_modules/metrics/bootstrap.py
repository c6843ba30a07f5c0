"""Metrics of videos with the interval that resampling the people in them gives."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.runtime.errors import UserError
from lightning_modules.metrics import functional, pixel, registry
from lightning_modules.metrics.functional import Function, Pooled
from lightning_modules.metrics.registry import MapOf, Metric, Values
from lightning_modules.metrics.resampling import Counts, Labels, draw_resamples

BLOCK = 100  # of them at the same time, for memory
Floats = NDArray[np.float64]


class Outdated(UserError):
    """Predictions that only another test can mend."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "-"
        return f"{self.value:.3f}" + ("" if np.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]")


@dataclass(frozen=True, kw_only=True)
class Videos:
    """One row per video.

    Args:
        person: Whom each was made from, empty where nobody is known; None where it is known of none.
    """

    score: Floats
    label: NDArray[np.int64]
    method: NDArray[np.str_]
    person: NDArray[np.str_] | None = None

    @property
    def reals(self) -> int:
        """Number of real ones."""
        return int((self.label == 0).sum())

    @property
    def fakes(self) -> int:
        return int((self.label == 1).sum())

    def select(self, chosen: NDArray[np.bool_]) -> Videos:
        person = None if self.person is None else self.person[chosen]
        return Videos(score=self.score[chosen], label=self.label[chosen], method=self.method[chosen], person=person)


def frame_labels(table: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """(N,) of a fake video they are 0 outside its forged segments; tables written before have only its own."""
    return table["frame_label"] if "frame_label" in table else table["label"]


def people(table: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[np.str_] | None:
    """(R,) of some rows, with the data set; empty where nobody is known; tables written before know of none."""
    if "person" not in table:
        return None
    known = zip(table["dataset"][rows], table["person"][rows], strict=True)
    return np.array([f"{dataset}/{person}" if person else "" for dataset, person in known], np.str_)


def columns(table: Mapping[str, NDArray[Any]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Score, label, number of the video and of the frame, (N,) each, from the columns of a prediction table."""
    _, video = np.unique(table["video"].astype(str), return_inverse=True)
    score, label = table["score"].astype(np.float64), table["label"].astype(np.int64)
    parts = [torch.from_numpy(a) for a in (score, label, video, table["frame"].astype(np.int64))]
    return parts[0], parts[1], parts[2], parts[3]


def videos(table: Mapping[str, NDArray[Any]], kinds: NDArray[np.str_], score_pooling: Pooled) -> Videos:
    """
    Args:
        table: Columns of a prediction table.
        kinds: Name of each row's manipulation.
        score_pooling: How frame scores are pooled into a video score.
    """
    _, first = np.unique(table["video"].astype(str), return_index=True)
    found = functional.pool_by_video(*columns(table), score_pooling)
    about: dict[str, Any] = {"method": kinds[first], "person": people(table, first)}
    return Videos(score=found.score.numpy(), label=found.label.numpy(), **about)


def value_of(function: Function, v: Videos) -> float:
    return float(function(torch.from_numpy(v.score), torch.from_numpy(v.label)))


def resample(v: Videos, seed: int = 0, draws: int | None = None) -> Counts:
    """(draws, V) how often each video is in each resample: people are drawn, with all videos made from them.

    People of whom there are reals, fakes or both are drawn apart.

    Args:
        draws: Resamples, as many as elsewhere without.
    """
    return draw_resamples([(v.person, v.label)], seed, draws)[0]


def interval(function: Function, v: Videos, draws: Counts) -> Interval:
    """Percentiles over resamples: neither the frames of a video nor the videos of a person are independent."""
    score, label = torch.from_numpy(v.score), torch.from_numpy(v.label)
    value = float(function(score, label))
    if np.isnan(value):
        return Interval(value=value)
    every = torch.arange(len(score))
    many = [float(function(score[i], label[i])) for i in map(every.repeat_interleave, torch.from_numpy(draws).long())]
    low, high = np.percentile(many, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))


def measure(metric: Metric, v: Videos, fixed: Values, draws: Counts) -> Interval:
    """One of the metrics of videos."""
    if metric.function is functional.auroc and metric.has_interval:
        return auroc_interval(v, draws)
    function = functools.partial(registry.evaluate_scores, metric, fixed)
    return interval(function, v, draws) if metric.has_interval else Interval(value=value_of(function, v))


def aurocs(score: Floats, label: Labels, weight: Floats | Counts) -> Floats:
    """(R,) of each resample, ties counted half.

    Args:
        score: (V,) of one method.
        label: (V,) 1 of fakes.
        weight: (R, V) how often each video is in each resample.
    """
    if not np.isfinite(score).all():
        raise ValueError(f"aurocs: score {np.flatnonzero(~np.isfinite(score))[0]} is not finite")
    real = np.flatnonzero(label == 0)
    real, fake = real[np.argsort(score[real])], np.flatnonzero(label == 1)
    low, high = (np.searchsorted(score[real], score[fake], side) for side in ("left", "right"))
    out = []
    for part in np.array_split(weight, -(-len(weight) // BLOCK)):
        some = part.astype(np.float64)
        # reals below a score, and those below or equal, are sums over the first of them
        below = np.concatenate([np.zeros((len(some), 1)), some[:, real].cumsum(1)], axis=1)
        won = (some[:, fake] * (below[:, low] + below[:, high])).sum(1) / 2
        out.append(won / (below[:, -1] * some[:, fake].sum(1)))
    return np.concatenate(out)


def auroc_interval(v: Videos, draws: Counts) -> Interval:
    """The same for the AUROC, all resamples at once."""
    if len(set(v.label.tolist())) < 2:
        return Interval(value=float("nan"))
    [value], many = aurocs(v.score, v.label, np.ones((1, len(v.label)))), aurocs(v.score, v.label, draws)
    low, high = np.percentile(many, [2.5, 97.5])
    return Interval(value=float(value), low=float(low), high=float(high))


def check_bins(table: Mapping[str, NDArray[Any]], about: Mapping[str, str], name: Path) -> None:
    """Refuses histograms of another kind than those of today.

    Args:
        about: Metadata of a prediction table.
        name: Name of the table.
    """
    has_histograms = any(one is not None for one in table["forged"])
    if has_histograms and about.get("pixel_bins") != pixel.BINNING:
        found = about.get("pixel_bins", "an older version's bins")
        raise Outdated(f"{name}: counts pixels in {found}, must be {pixel.BINNING}; test again")


def over_frames(
    metric: Metric,
    fixed: Values,
    forged: NDArray[np.int32],
    other: NDArray[np.int32],
    video: NDArray[np.int64],
    weight: Floats,
) -> tuple[float, Floats]:
    """The mean over frames where a metric is defined, and that of each resample, (R,).

    Args:
        forged: (N, T, BINS) of fakes.
        other: (N, T, BINS).
        video: (N,) positions of their videos.
        weight: (R, V) how often each video is in each resample.
    """
    total, count = np.zeros((2, weight.shape[1]))
    for start in range(0, len(video), BLOCK):
        rows = slice(start, start + BLOCK)
        inside, outside = (torch.from_numpy(one[rows]).double() for one in (forged, other))
        value = registry.evaluate_pixels(metric, fixed, pixel.Histograms(inside, outside, 0 * outside)).numpy()
        np.add.at(total, video[rows], np.nansum(value, 1))
        np.add.at(count, video[rows], (~np.isnan(value)).sum(1))
    if not count.sum():
        return float("nan"), np.full(len(weight), np.nan)
    with np.errstate(invalid="ignore"):  # a resample may have no such frame
        return float(total.sum() / count.sum()), (weight @ total) / (weight @ count)


def localization(
    table: Mapping[str, NDArray[Any]],
    chosen: NDArray[np.bool_],
    fixed: Values,
    map_of: MapOf = "region",
    draws: int | None = None,
) -> dict[str, Interval]:
    """Metrics of pixels, by their ids, of the rows that have a true mask; none from methods that do not localize.

    Args:
        table: Columns of a prediction table.
        chosen: Selected rows.
        fixed: Values fixed by validation.
        map_of: Meaning of the method's map.
        draws: Resamples, as many as elsewhere without.
    """
    rows = np.flatnonzero(chosen & table["has_mask"])
    if not len(rows) or table["forged"][rows[0]] is None:
        return {}
    label = frame_labels(table)[rows]
    # of a partly forged video, what is forged and what is not are two
    names = np.char.add(table["video"][rows].astype(str), label.astype(str))
    _, first, video = np.unique(names, return_index=True, return_inverse=True)
    fake = label[first] == 1
    # (N, T, BINS) of clips
    forged, other = (
        np.stack(list(table[name][rows])).reshape(len(rows), -1, pixel.BINS) for name in ("forged", "other")
    )
    about: dict[str, Any] = {"method": names[first], "person": people(table, rows[first])}
    halves = Videos(score=np.zeros(len(first)), label=fake.astype(np.int64), **about)
    weight = resample(halves, draws=draws).astype(np.float64)
    totals = np.zeros((2, len(first), pixel.BINS))
    for one, total in zip((forged, other), totals, strict=True):
        np.add.at(total, video, one.sum(1))
    parts = torch.from_numpy(
        np.stack([totals[0] * fake[:, None], totals[1] * fake[:, None], totals[1] * ~fake[:, None]])
    )
    whole, many = pixel.Histograms(*parts.sum(1)), pixel.Histograms(*(torch.from_numpy(weight) @ parts))
    is_fake = fake[video]
    out = {}
    for metric in registry.list_unit_metrics(*registry.MAPS[map_of]):
        if metric.is_mean_over_frames:
            value, values = over_frames(metric, fixed, forged[is_fake], other[is_fake], video[is_fake], weight)
        else:
            value = float(registry.evaluate_pixels(metric, fixed, whole))
            values = registry.evaluate_pixels(metric, fixed, many).numpy()
        low, high = np.nanpercentile(values, [2.5, 97.5]) if not np.isnan(value) else (np.nan, np.nan)
        out[metric.id] = Interval(value=value, low=float(low), high=float(high))
    return out
