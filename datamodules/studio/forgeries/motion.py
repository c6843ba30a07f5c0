"""A forgery that is seen in time alone, and its control."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from datamodules.faces.landmarks.points import LEFT_EYE, LIPS, NOSE, RIGHT_EYE
from datamodules.studio.face import Array, enlarge
from datamodules.studio.forgeries.base import Forged, Take, blend, cover_groups, find_box, follow_pixels, outline_face

ANCHORS = ([17, 21], [22, 26], LEFT_EYE, RIGHT_EYE, NOSE, LIPS, [4, 48], [12, 54])


def displace(take: Take, path: Array) -> Iterator[Forged]:
    """The target's own face, its parts moved by a path of (T, 8, 2) pixels."""
    reach = 0.3 * take.radius
    for frame, step in zip(take.frames, path, strict=True):
        anchors = np.stack([frame.points[list(group)].mean(0) for group in ANCHORS])

        def field(at: Array, anchors: Array = anchors, step: Array = step) -> Array:
            weight = np.exp(-((at[..., None, :] - anchors) ** 2).sum(-1) / (2 * reach**2)) + 1e-3
            return ((weight / weight.sum(-1, keepdims=True)) @ step).astype(np.float32)

        alpha = cover_groups(frame.image.shape, [outline_face(frame.points)], 0.95, 0.09 * take.radius)
        box = x0, y0, x1, y1 = find_box(alpha)
        coarse = np.stack(np.meshgrid(np.arange(x0, x1 + 4, 4), np.arange(y0, y1 + 4, 4)), -1).astype(np.float32)
        shift = enlarge(field(coarse), 4, x1 - x0, y1 - y0)
        x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
        new = cv2.remap(
            frame.image, x - shift[..., 0], y - shift[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        points = follow_pixels(alpha, frame.points, frame.points + field(frame.points))
        yield Forged(image=blend(frame.image, new, alpha, box), alpha=alpha, points=points)


def walk(take: Take, smooth: bool) -> Array:
    """(T, 8, 2) displacements with the same spread whether they shake or glide."""
    steps = take.rng().standard_normal((len(take.shot) + 64, 8, 2))
    if smooth:
        kernel = np.exp(-0.5 * (np.arange(-24, 25) / 8) ** 2)
        steps = np.apply_along_axis(np.convolve, 0, steps, kernel, "same")
    steps = steps[32:-32] - steps[32:-32].mean(0)
    far = take.interpolate(0.024, 0.01) * take.radius
    return (steps / steps.std(0) * far).astype(np.float32)


def temporal_jitter(take: Take) -> Iterator[Forged]:
    """Single frames are clean; from frame to frame the parts of the face shake."""
    return displace(take, walk(take, smooth=False))


def temporal_smooth(take: Take) -> Iterator[Forged]:
    """The negative control of the jitter: the same blend, gliding."""
    return displace(take, walk(take, smooth=True))
