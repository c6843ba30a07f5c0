"""Forgeries of what somebody does or of how the face is rendered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from datamodules.studio.face import Array
from datamodules.studio.forgeries.base import (
    Forged,
    Take,
    blend,
    cover_groups,
    find_box,
    follow_pixels,
    group_parts,
    outline_face,
    pair_groups,
    repaint,
)
from datamodules.studio.scene import head_for


def reenactment(take: Take) -> Iterator[Forged]:
    """Mouth and eyes of the target after the path of the source, through a decoder of low resolution."""
    head, share = head_for(take.target, take.shot, take.between(0.3, 0.8)), take.between(1.0, 0.5)
    for i, frame in enumerate(take.frames):
        mine, driving = take.shot.expressions[i], take.source_shot.expressions[i % len(take.source_shot)]
        driven = {
            name: getattr(mine, name) + share * (getattr(driving, name) - getattr(mine, name))
            for name in ("blink", "mouth", "smile")
        }
        expression = replace(mine, **driven)
        theirs = head.project(head.express(expression), take.shot.poses[i])
        groups = [
            group
            for part in ("lips", "eyes")
            for group in pair_groups(group_parts(frame.points)[part], group_parts(theirs)[part])
        ]
        alpha = cover_groups(frame.picture.shape, groups, 1.5, 0.06 * take.radius)
        box = find_box(alpha)
        picture = blend(frame.picture, repaint(take, i, head, expression, box), alpha, box)
        yield Forged(picture=picture, alpha=alpha, points=follow_pixels(alpha, frame.points, theirs))


def neural_texture(take: Take) -> Iterator[Forged]:
    """The target's face through a coarse decoder: few high frequencies, and the grid of its up-sampling instead."""
    coarse = take.between(3.0, 1.5)
    for frame, pose in zip(take.frames, take.shot.poses, strict=True):
        alpha = cover_groups(frame.picture.shape, [outline_face(frame.points)], 0.93, 0.06 * take.radius)
        box = x0, y0, x1, y1 = find_box(alpha)
        part = frame.picture[y0:y1, x0:x1]
        size = (max(1, round((x1 - x0) / coarse)), max(1, round((y1 - y0) / coarse)))
        small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        new = cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
        x, y = np.arange(x0, x1) - round(pose.x), np.arange(y0, y1) - round(pose.y)
        grid = ((x[None] // 2 + y[:, None] // 2) % 2 * 2 - 1).astype(np.float32)[..., None]
        # as sharp as before, so that sharpness alone does not tell
        lost = max(0.0, measure_edges(part) - measure_edges(new))
        new = new + grid * np.float32(np.sqrt(lost / measure_edges(np.broadcast_to(grid, new.shape))))
        yield Forged(picture=blend(frame.picture, new, alpha, box), alpha=alpha, points=frame.points)


def measure_edges(picture: Array) -> float:
    """The variance of the Laplacian."""
    return float(cv2.Laplacian(np.ascontiguousarray(picture), cv2.CV_32F).var())
