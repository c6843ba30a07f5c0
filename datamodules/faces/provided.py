"""Faces that the owners of a data set have marked or cut out: nothing is searched for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.detection.base import Floats, Found
from datamodules.faces.landmarks.base import FacePoints, Landmarks
from datamodules.faces.tracking.track import Sighting, Track
from datamodules.media.video import VideoError


def box_whole_image(shape: tuple[int, ...], margin: float) -> Floats:
    """The box around which a square with this margin is the whole image."""
    height, width = shape[:2]
    half = max(height, width) / margin / 2
    # a quarter of a pixel off the middle, so that rounding cannot move the square
    x, y = (width - 1) / 2 + 0.25, (height - 1) / 2 + 0.25
    return np.array([x - half, y - half, x + half, y + half], np.float32)


def read_provided_track(
    images: Iterable[NDArray[np.uint8]],
    numbers: Sequence[int],
    box: str,
    margin: float,
    landmarks: Landmarks,
    files: Path | None,
) -> Track:
    """
    Args:
        numbers: Numbers of the images, as their landmark files are named.
        box: "all", or x0 y0 x1 y1.
        margin: Margin of the crop.
        files: Folder of landmarks; without it they are fitted.
    """
    track = Track(0)
    shipped = {int(p.stem): p for p in files.glob("*.npy") if p.stem.isdigit()} if files is not None else {}
    for i, (number, image) in enumerate(zip(numbers, images, strict=True)):
        here = box_whole_image(image.shape, margin) if box == "all" else corners(box)
        found = Found(box=here, score=float("nan"))
        if files is None:
            face = landmarks.fit(image, found)
        elif number in shipped:
            face = FacePoints(points=read_landmarks(shipped[number]))
        else:
            raise VideoError(files, f"has no landmarks for image {number}")
        track.sightings.append(Sighting(frame=i, found=found, face=face, found_by=""))
        track.sightings[-1].forget_mesh()
    return track


def read_landmarks(path: Path) -> Floats:
    """The first 68 of 81."""
    try:
        points = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise VideoError(path, f"cannot be read ({error})") from error
    if points.ndim != 2 or len(points) < 68 or points.shape[1] != 2:
        raise VideoError(path, f"holds {points.shape}, not the 68 or 81 points of a face")
    if not np.isfinite(points[:68]).all():
        raise VideoError(path, "holds points that are no finite numbers")
    return points[:68].astype(np.float32)


def corners(box: str) -> Floats:
    return np.array(box.split(), np.float32)
