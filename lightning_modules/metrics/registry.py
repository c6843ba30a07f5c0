"""Every metric of the suite: its id in logs, tables and files, and its title where it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lightning_modules.metrics import calibration, functional, operating, pixel

# pixel: all pixels of all fakes together; pixel_frame: mean over the frames of fakes, as most of the field reports. Of
# methods whose maps show the boundary of a forged region, and not the region, they are boundary and boundary_frame
Unit = Literal["video", "frame", "pixel", "pixel_frame", "boundary", "boundary_frame"]
MapOf = Literal["region", "boundary"]
MapBy = Literal["head", "activation"]  # a part of the method, or what says most for the logit of a whole face
MAPS: dict[MapOf, tuple[Unit, Unit]] = {"region": ("pixel", "pixel_frame"), "boundary": ("boundary", "boundary_frame")}
# what validation has fixed; a half; or the best one of the very test set, which only shows what the transfer costs
Threshold = Literal["validation", "half", "oracle"]
AT: dict[Threshold, str] = {
    "validation": "at validation's threshold",
    "half": "at 0.5",
    "oracle": "at the test set's best threshold (oracle)",
}
CALIBRATION = ("video_slope", "video_bias")
Values = Mapping[str, float | Tensor]  # what validation has fixed, by the id of its fit; what it has not is absent


@dataclass(frozen=True, kw_only=True)
class Metric:
    """
    Args:
        function: Function of scores and labels, or of histograms of pixels; then of the threshold, where there is one.
        has_interval: Whether it has an interval over resamples.
        is_calibrated: Whether it takes calibrated probabilities.
    """

    id: str
    title: str
    unit: Unit
    function: Callable[..., Tensor]
    threshold: Threshold | None = None
    has_interval: bool = True
    is_calibrated: bool = False

    @property
    def required_fits(self) -> tuple[str, ...]:
        """Ids of what validation must have fixed."""
        names = CALIBRATION if self.is_calibrated else ()
        of = self.unit if self.unit in ("video", "frame") else "pixel"
        return (*names, f"{of}_threshold") if self.threshold == "validation" else names

    @property
    def is_mean_over_frames(self) -> bool:
        return self.unit in ("pixel_frame", "boundary_frame")


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What validation fixes and a checkpoint keeps; not a number before."""

    id: str
    unit: Unit
    function: Callable[..., Tensor]
    shape: tuple[int, ...] = ()


def metric(
    unit: Unit,
    name: str,
    title: str,
    function: Callable[..., Tensor],
    threshold: Threshold | None = None,
    has_interval: bool = True,
) -> Metric:
    end, at = (f"_at_{threshold}", f" {AT[threshold]}") if threshold else ("", "")
    over = "" if unit in ("video", "frame") else ", mean over frames" if unit.endswith("_frame") else ", pooled"
    title = f"{unit.removesuffix('_frame')} {title}{at}{over}"
    about = {"unit": unit, "function": function, "threshold": threshold, "has_interval": has_interval}
    return Metric(id=f"{unit}_{name}{end}", title=title, **about)  # type: ignore[arg-type]


def list_score_metrics(unit: Unit) -> list[Metric]:
    """
    Args:
        unit: Frames have no intervals: resampling them would take them for independent.
    """
    is_video = unit == "video"
    return [
        metric(unit, "auroc", "AUROC", functional.auroc, None, is_video),
        metric(unit, "ap", "AP", functional.average_precision, None, is_video),
        metric(unit, "eer", "EER", functional.eer, None, is_video),
        metric(unit, "tpr_at_1_fpr", "TPR at 1 % FPR", functional.tpr_at_fpr, None, False),
        metric(unit, "accuracy", "accuracy", functional.accuracy, "validation", False),
        metric(unit, "balanced_accuracy", "balanced accuracy", functional.balanced_accuracy, "validation", is_video),
        metric(unit, "balanced_accuracy", "balanced accuracy", functional.balanced_accuracy, "oracle", False),
        metric(unit, "fpr", "FPR", functional.false_positive_rate, "validation", is_video),
        metric(unit, "tpr", "TPR", functional.true_positive_rate, "validation", is_video),
        metric(unit, "ece", "ECE at balanced classes", functional.ece, None, False),
        metric(unit, "brier", "Brier score", functional.brier, None, is_video),
    ]


def list_pixel_metrics(unit: Unit) -> list[Metric]:
    thresholds: tuple[Threshold, ...] = ("half", "validation")
    return [
        metric(unit, "auroc", "AUROC", pixel.auroc),
        metric(unit, "ap", "AP", pixel.average_precision),
        *(metric(unit, "iou", "IoU", pixel.iou, at) for at in thresholds),
        *(metric(unit, "f1", "F1", pixel.f1, at) for at in thresholds),
        *(
            metric(unit, "false_alarms", "false alarms on reals", pixel.false_alarm_area, at)
            for at in thresholds
            if unit in ("pixel", "boundary")  # all frames have as many pixels: their mean is the same
        ),
    ]


CALIBRATED = Metric(
    id="video_ece_calibrated",
    title="video ECE at balanced classes after calibration",
    unit="video",
    function=functional.ece,
    has_interval=False,
    is_calibrated=True,
)
METRICS = [
    *list_score_metrics("video"),
    CALIBRATED,
    *list_score_metrics("frame"),
    *(one for map in MAPS.values() for unit in map for one in list_pixel_metrics(unit)),
]
FITS = [
    Fit(id="frame_threshold", unit="frame", function=functional.best_threshold),
    Fit(id="video_threshold", unit="video", function=functional.best_threshold),
    Fit(id="pixel_threshold", unit="pixel", function=pixel.best_threshold),
    Fit(id="video_slope", unit="video", function=calibration.slope),
    Fit(id="video_bias", unit="video", function=calibration.bias),
]
# what thresholds for any share of false alarms are found from; neither is logged
SCORES = Fit(id="video_scores", unit="video", function=operating.sample, shape=(2, operating.KEPT))
COUNTS = Fit(id="video_counts", unit="video", function=operating.count, shape=(2,))
STORED = [*FITS, SCORES, COUNTS]
BY_ID = {metric.id: metric for metric in METRICS}


def get(id: str) -> Metric:
    if id not in BY_ID:
        raise KeyError(f"{id}: is no metric; there are {', '.join(BY_ID)}")
    return BY_ID[id]


def list_unit_metrics(*units: Unit) -> list[Metric]:
    return [metric for metric in METRICS if metric.unit in units]


def titles(ids: Iterable[str]) -> dict[str, str]:
    return {id: get(id).title for id in ids}


def select_fixed(fixed: Mapping[str, float | Tensor | str]) -> dict[str, float]:
    """What validation has fixed, of what a method or a table says of itself."""
    values = {fit.id: float(fixed[fit.id]) for fit in FITS if fit.id in fixed}
    return {id: value for id, value in values.items() if value == value}


def evaluate_scores(metric: Metric, fixed: Values, score: Tensor, label: Tensor) -> Tensor:
    """Not a number where validation has not fixed what it takes."""
    if not fixed.keys() >= set(metric.required_fits):
        return functional.create_nan(score)
    if metric.is_calibrated:
        score = calibration.calibrate(score, *(fixed[id] for id in CALIBRATION))
    if metric.threshold is None:
        return metric.function(score, label)
    if metric.threshold == "oracle":
        return metric.function(score, label, functional.best_threshold(score, label))
    return metric.function(score, label, fixed[metric.required_fits[-1]] if metric.required_fits else 0.5)


def evaluate_pixels(metric: Metric, fixed: Values, h: pixel.Histograms) -> Tensor:
    """(...) of histograms (..., BINS); not a number where validation has not fixed what it takes."""
    if not fixed.keys() >= set(metric.required_fits):
        return h.forged.new_full(h.forged.shape[:-1], float("nan"), dtype=torch.float32)
    if metric.threshold is None:
        return metric.function(h)
    return metric.function(h, fixed[metric.required_fits[-1]] if metric.required_fits else 0.5)
