"""Faces that the owners of a data set have marked or cut out: nothing is searched for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import Refused
from datamodules.faces import Floats, Found, Landmarks
from datamodules.tracks import Track
from datamodules.video import VideoError


def whole(shape: tuple[int, ...], margin: float) -> Floats:
    """The box around which a square with this margin is the whole picture."""
    height, width = shape[:2]
    half = max(height, width) / margin / 2
    # a quarter of a pixel off the middle, so that rounding cannot move the square
    x, y = (width - 1) / 2 + 0.25, (height - 1) / 2 + 0.25
    return np.array([x - half, y - half, x + half, y + half], np.float32)


def given_track(
    pictures: Iterable[NDArray[np.uint8]],
    numbers: Sequence[int],
    box: str,
    margin: float,
    landmarks: Landmarks,
    files: Path | None,
) -> Track:
    """
    Args:
        numbers: Of the pictures, as their landmark files are named.
        box: "all", or x0 y0 x1 y1.
        margin: Of the crop.
        files: Folder of landmarks; without it they are fitted.
    """
    track = Track(0)
    shipped = {int(path.stem): path for path in files.glob("*.npy")} if files is not None else {}
    for i, (number, picture) in enumerate(zip(numbers, pictures, strict=True)):
        here = whole(picture.shape, margin) if box == "all" else corners(box)
        if files is None:
            points = landmarks.fit(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), here)
        elif number in shipped:
            points = np.load(shipped[number], allow_pickle=False)[:68].astype(np.float32)  # the first 68 of 81
        else:
            raise VideoError(files, f"has no landmarks for picture {number}")
        track.put(i, Found(box=here, score=float("nan")), points)
    return track


def corners(box: str) -> Floats:
    try:
        x0, y0, x1, y1 = map(float, box.split())
    except ValueError as error:
        raise Refused(f"box {box!r}: must be 'all' or 'x0 y0 x1 y1'") from error
    return np.array([x0, y0, x1, y1], np.float32)
