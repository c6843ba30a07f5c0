"""Which frames of a partly forged video are forged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from datamodules.runtime.errors import UserError

SEGMENT = r"(?:\d+(?:\.\d+)?-\d+(?:\.\d+)?|\d+f-\d+f)"
SEGMENTS = rf"^(?:{SEGMENT}(?: {SEGMENT})*)?$"
EPSILON = 1e-6  # of seconds, or of frames: what floats and the six digits of a segment lose
ROUNDING, DRIFT = (
    2e-3,
    1e-4,
)  # seconds by which a constant rate may miss a time: Matroska has milliseconds, fps 3 digits
NO_RATE = "fake_segments in seconds, but images, or a single frame, have no rate; give frames, as in 0f-25f"


class NoRate(UserError):
    """Seconds of what has no rate."""


def check_rate(segments: str, fps: float, path: str) -> None:
    if fps <= 0 and not all(segment.endswith("f") for segment in segments.split()):
        raise NoRate(f"{path}: {NO_RATE}")


def write_seconds(periods: Iterable[Sequence[float]]) -> str:
    """Pairs of start and end, as the column has them; what ends where it begins is none."""
    return " ".join(f"{decimal(start)}-{decimal(end)}" for start, end in periods if end > start >= 0)


def write_frames(segments: Iterable[tuple[int, int]]) -> str:
    """Pairs of first frame and number of frames."""
    return " ".join(f"{first}f-{first + count}f" for first, count in segments if count > 0 <= first)


def decimal(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def find_forged(
    segments: str,
    fps: float,
    numbers: Sequence[int] | NDArray[np.int64],
    path: str,
    times: Sequence[float] | NDArray[np.float64] | None = None,
) -> NDArray[np.bool_]:
    """(N,) whether each frame is forged: of an empty column all are.

    Args:
        segments: Column of the manifest: ``start-end`` in seconds, or in frames with an ``f`` behind each number.
        numbers: Frame numbers.
        path: Of the video, for messages.
        times: Seconds of each frame; all are as the rate has them if unset.
    """
    frames = np.asarray(numbers, np.int64)
    forged = np.full(len(frames), not segments)
    for segment, part in zip(segments.split(), list_frames(segments, fps, path), strict=True):
        inside = (frames >= part.start) & (frames < part.stop)
        if times is not None and not segment.endswith("f"):
            shown, (start, end) = np.asarray(times, np.float64) + EPSILON, map(float, segment.split("-"))
            by_rate = np.abs(shown - frames / fps) <= ROUNDING + DRIFT * shown
            inside = np.where(by_rate, inside, (shown >= start) & (shown < end))
        forged |= inside
    return forged


def list_frames(segments: str, fps: float, path: str) -> list[range]:
    """The frames of each segment at a constant rate; the last one may end behind the video."""
    check_rate(segments, fps, path)
    places = [[place_of(text, fps) for text in segment.split("-")] for segment in segments.split()]
    return [range(first, end) for first, end in places]


def list_seconds(segments: str, fps: float) -> list[tuple[float, float]]:
    """Start and end of each segment, as they are given or, of frames, by the rate."""
    pairs = [[seconds_of(text, fps) for text in segment.split("-")] for segment in segments.split()]
    return [(start, end) for start, end in pairs]


def seconds_of(text: str, fps: float) -> float:
    return int(text[:-1]) / fps if text.endswith("f") else float(text)


def place_of(text: str, fps: float) -> int:
    """The frame where a segment begins, or the one behind its end; seconds are cut off as LAV-DF's own loader does."""
    return int(text[:-1]) if text.endswith("f") else int(float(text) * fps + EPSILON)


def check_segments(text: str) -> bool:
    """Whether it is what the column may hold, with every segment ending behind its beginning."""
    if not re.fullmatch(SEGMENTS, text):
        return False
    pairs = (segment.replace("f", "").split("-") for segment in text.split())
    return all(float(end) > float(start) for start, end in pairs)
