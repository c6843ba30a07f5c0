"""Forgeries of what somebody does or of how the face is rendered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from datamodules.studio.face import Array, Expression
from datamodules.studio.forgeries.base import (
    Forged,
    Take,
    blend,
    cover_groups,
    find_box,
    group_parts,
    outline_face,
    pair_groups,
    repaint_frames,
)
from datamodules.studio.scene import RenderedFrame, head_for


def reenactment(take: Take) -> Iterator[Forged]:
    """Mouth and eyes of the target after the path of the source, through a decoder of low resolution."""
    head, share = head_for(take.target, take.shot, take.interpolate(0.3, 0.8)), take.interpolate(1.0, 0.5)
    driving = [take.source_shot.expressions[i % len(take.source_shot)] for i in range(len(take.shot))]
    expressions = [mix(mine, theirs, share) for mine, theirs in zip(take.shot.expressions, driving, strict=True)]

    def cover(frame: RenderedFrame, theirs: Array) -> Array:
        mine, new = group_parts(frame.points), group_parts(theirs)
        groups = [group for part in ("lips", "eyes") for group in pair_groups(mine[part], new[part])]
        return cover_groups(frame.image.shape, groups, 1.5, 0.06 * take.radius)

    return repaint_frames(take, head, cover, expressions)


def mix(mine: Expression, driving: Expression, share: float) -> Expression:
    """What eyelids and mouth do, some way towards another expression."""
    driven = {
        name: getattr(mine, name) + share * (getattr(driving, name) - getattr(mine, name))
        for name in ("blink", "mouth", "smile")
    }
    return replace(mine, **driven)


def neural_texture(take: Take) -> Iterator[Forged]:
    """The target's face through a coarse decoder: few high frequencies, and the grid of its up-sampling instead."""
    coarse = take.interpolate(3.0, 1.5)
    for frame, pose in zip(take.frames, take.shot.poses, strict=True):
        alpha = cover_groups(frame.image.shape, [outline_face(frame.points)], 0.93, 0.06 * take.radius)
        box = x0, y0, x1, y1 = find_box(alpha)
        part = frame.image[y0:y1, x0:x1]
        size = (max(1, round((x1 - x0) / coarse)), max(1, round((y1 - y0) / coarse)))
        small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        new = cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
        x, y = np.arange(x0, x1) - round(pose.x), np.arange(y0, y1) - round(pose.y)
        grid = ((x[None] // 2 + y[:, None] // 2) % 2 * 2 - 1).astype(np.float32)[..., None]
        # as sharp as before, so that sharpness alone does not tell
        lost = max(0.0, measure_edges(part) - measure_edges(new))
        new = new + grid * np.float32(np.sqrt(lost / measure_edges(np.broadcast_to(grid, new.shape))))
        yield Forged(image=blend(frame.image, new, alpha, box), alpha=alpha, points=frame.points)


def measure_edges(image: Array) -> float:
    """The variance of the Laplacian."""
    return float(cv2.Laplacian(np.ascontiguousarray(image), cv2.CV_32F).var())
