"""Forgeries of who somebody is: a swapped face, two faces averaged."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from datamodules.studio.face import Array
from datamodules.studio.forgeries.base import (
    Box,
    Forged,
    Take,
    blend,
    cover_groups,
    find_box,
    follow_pixels,
    outline_face,
    repaint,
    repaint_frames,
)
from datamodules.studio.forgeries.graft import graft
from datamodules.studio.scene import head_for


def clone(image: Array, new: Array, alpha: Array, box: Box) -> Array:
    """Poisson's blend: the gradients of the new part within the border of the old, for which the box has room."""
    x0, y0, x1, y1 = box
    mask = (alpha[y0:y1, x0:x1] > 0).astype(np.uint8) * 255
    if not mask.any():
        return image
    part = cv2.convertScaleAbs(np.clip(image[y0:y1, x0:x1], 0, 1), alpha=255)
    source = cv2.convertScaleAbs(np.clip(new, 0, 1), alpha=255)
    x, y, w, h = cv2.boundingRect(mask)
    # OpenCV 5 overwrites the mask that it is given
    done = cv2.seamlessClone(source, part, mask.copy(), (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)
    out = image.copy()
    out[y0:y1, x0:x1] = np.where(mask[..., None] > 0, done.astype(np.float32) / 255, out[y0:y1, x0:x1])
    return out


def swap(take: Take) -> Iterator[Forged]:
    """The whole face of the source, at lower resolution, off in colour, behind a seam or cloned, flickering."""
    rng = take.rng()
    head = graft(head_for(take.target, take.shot, take.interpolate(0.4, 0.8)), take.source, 0.75)
    poisson, grow = rng.random() < 0.5, rng.uniform(0.88, 0.97)
    error = (
        take.interpolate(0.04, 0.0) if poisson else take.interpolate(0.13, 0.03)
    )  # a clone takes on the colours around it
    warm, light, green = rng.choice([-1, 1], 3) * rng.uniform([0.6, 0.6, 0.0], [1.2, 1.2, 0.3]) * error
    off = (1 + light) * np.array([1 + warm, 1 + green, 1 - warm])
    flicker = rng.standard_normal((len(take.frames), 1)) * take.interpolate(0.03, 0.004)
    for i, frame in enumerate(take.frames):
        expression = take.shot.expressions[i]
        theirs = head.project(head.express(expression), take.shot.poses[i])
        alpha = cover_groups(
            frame.image.shape, [outline_face(frame.points)], grow, take.interpolate(0.03, 0.1) * take.radius
        )
        box = find_box(alpha, room=2)
        new = repaint(take, i, head, expression, box) * (off + flicker[i]).astype(np.float32)
        image = (clone if poisson else blend)(frame.image, new, alpha, box)
        if poisson:
            alpha = (alpha > 0).astype(np.float32)
        yield Forged(image=image, alpha=alpha, points=follow_pixels(alpha, frame.points, theirs))


def morph(take: Take) -> Iterator[Forged]:
    """Both people averaged, in shape and in pixels."""
    share = take.interpolate(0.65, 0.4)
    head = graft(head_for(take.target, take.shot, take.interpolate(0.7, 1.0)), take.source, share, share)
    feather = take.interpolate(0.05, 0.12) * take.radius
    return repaint_frames(
        take, head, lambda frame, _: cover_groups(frame.image.shape, [outline_face(frame.points)], 0.95, feather)
    )
