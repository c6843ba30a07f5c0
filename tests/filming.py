"""People of the studio for tests: a video of one, and the landmarks of one."""

from __future__ import annotations

import functools

import numpy as np

from benchmarks.staging import stranger
from datamodules.studio.face import Expression, express
from datamodules.studio.portrait import Portrait, make_portrait
from datamodules.studio.scene import shoot
from datamodules.studio.shot import direct


def filmed(number: int, frames: int) -> tuple[list[np.ndarray], np.ndarray]:
    """A video and its exact landmarks, (T, 68, 2)."""
    shot = direct(np.random.default_rng([99, number]), 256, 208, frames)
    pictures, points = zip(*shoot(make_portrait(stranger(number)), shot), strict=True)
    return list(pictures), np.stack(points)


@functools.cache
def portrait(number: int) -> Portrait:
    return make_portrait(stranger(number), cut=False)


def face_points(number: int, expression: Expression) -> np.ndarray:
    """(68, 2) landmarks of somebody turned to the front, in half face widths."""
    one = portrait(number)
    return express(one.points, one.smile, expression)
