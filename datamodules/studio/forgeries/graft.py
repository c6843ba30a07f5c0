"""Heads of two people: the features of a source on the face of a target."""

from __future__ import annotations

import copy

import numpy as np

from datamodules.faces.landmarks.points import JAW
from datamodules.studio.face import Array
from datamodules.studio.head import Head
from datamodules.studio.portrait import Portrait, draw_canvas


def graft(target: Head, source: Portrait, shape: float, texture: float = 1.0) -> Head:
    """The head of the target with the pixels and the shape of the source within its jaw.

    Args:
        target: Whose pose, light, relief, hair and jaw it keeps.
        source: Whose features it gets.
        shape: How far features stand, and smile, as those of the source do; 0 is the target's.
        texture: The share of the source's pixels.
    """
    inner = np.ones((68, 1), np.float32)
    inner[[*JAW]] = 0
    out = copy.copy(target)
    out.points = target.points + shape * inner * (source.points - target.points)
    out.smile = target.smile + shape * inner * (source.smile - target.smile)
    out.still = target.still.copy()
    other = draw_canvas(source.neutral, target.scale)
    wear(target, out.still, other, target.points, source.points, out.points, texture)
    if target.smiling is not None and source.smiling is not None:
        out.smiling = target.smiling.copy()
        other = draw_canvas(source.smiling, target.scale)
        mine, theirs = target.points + target.smile, source.smiling.points
        wear(target, out.smiling, other, mine, theirs, out.points + out.smile, texture)
    elif source.smiling is None:
        out.smiling = None  # the mesh smiles alone
    return out


def wear(head: Head, canvas: Array, other: Array, mine: Array, theirs: Array, goal: Array, texture: float) -> None:
    """Puts another canvas over one within the window, both warped to the goal, the colours matched."""
    x0, y0, x1, y1 = head.window
    old, new = head.warp(canvas, mine, goal), head.warp(other, theirs, goal)
    inside = head.face[..., 0] > 0.5
    a, b = old[inside][:, :3], new[inside][:, :3]
    gain = np.clip(a.std(0) / (b.std(0) + 1e-3), 0.6, 1.6)
    new[..., :3] = np.clip((new[..., :3] - b.mean(0)) * gain + a.mean(0), 0, 1)
    old[..., :3] += texture * (new[..., :3] - old[..., :3])
    canvas[y0:y1, x0:x1] = old


def reshape(head: Head, points: Array) -> Head:
    """The same head with its landmarks elsewhere."""
    x0, y0, x1, y1 = head.window
    out = copy.copy(head)
    out.points, out.still = points, head.still.copy()
    out.still[y0:y1, x0:x1] = head.warp(head.still, head.points, points)
    if head.smiling is not None:
        out.smiling = head.smiling.copy()
        out.smiling[y0:y1, x0:x1] = head.warp(head.smiling, head.points + head.smile, points + head.smile)
    return out
