"""Heads of two people: the features of a source on the face of a target."""

from __future__ import annotations

import copy

import cv2
import numpy as np

from datamodules.studio.face import JAW, Array
from datamodules.studio.head import Head, relief
from datamodules.studio.portrait import Portrait, canvas


def graft(target: Head, source: Portrait, shape: float, texture: float = 1.0) -> Head:
    """The head of the target with the pixels and the shape of the source within its jaw.

    Args:
        target: Whose pose, light, hair and jaw it keeps.
        source: Whose features it gets.
        shape: How far features stand where those of the source do; 0 is the target's.
        texture: The share of the source's pixels.
    """
    mine, theirs = target.points, source.points
    points = mine + shape * (theirs - mine)
    points[[*JAW]] = mine[[*JAW]]
    out = copy.copy(target)
    out.points = points
    out.smile = source.smile.copy()
    out.smile[[*JAW]] = target.smile[[*JAW]]
    out.still = target.still.copy()
    wear(out, out.still, canvas(source.neutral, target.scale), theirs, mine, points, texture)
    if target.smiling is not None and source.smiling is not None:
        out.smiling = target.smiling.copy()
        there, goal = source.smiling.points, points + out.smile
        wear(out, out.smiling, canvas(source.smiling, target.scale), there, mine + target.smile, goal, texture)
    elif source.smiling is None:
        out.smiling = None
    out.depth = relief(points)
    return out


def wear(head: Head, under: Array, over: Array, theirs: Array, mine: Array, goal: Array, texture: float) -> None:
    """Puts one canvas over another within the window, both warped to the goal, the colours matched."""
    x0, y0, x1, y1 = head.window

    def take(picture: Array, points: Array) -> Array:
        at = head.spread(head.pixels(head.portrait.mesh.back(points, goal, head.coarse)))
        return cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    old, new = take(under, mine), take(over, theirs)
    inside = head.face[..., 0] > 0.5
    a, b = old[inside][:, :3], new[inside][:, :3]
    gain = np.clip(a.std(0) / (b.std(0) + 1e-3), 0.6, 1.6)
    new[..., :3] = np.clip((new[..., :3] - b.mean(0)) * gain + a.mean(0), 0, 1)
    old[..., :3] += texture * (new[..., :3] - old[..., :3])
    under[y0:y1, x0:x1] = old


def reshape(head: Head, points: Array) -> Head:
    """The same head with its landmarks elsewhere."""
    out = copy.copy(head)
    x0, y0, x1, y1 = head.window
    out.points, out.still = points, head.still.copy()

    def take(picture: Array, old: Array, new: Array) -> Array:
        at = head.spread(head.pixels(head.portrait.mesh.back(old, new, head.coarse)))
        return cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    out.still[y0:y1, x0:x1] = take(head.still, head.points, points)
    if head.smiling is not None:
        out.smiling = head.smiling.copy()
        out.smiling[y0:y1, x0:x1] = take(head.smiling, head.points + head.smile, points + head.smile)
    return out
