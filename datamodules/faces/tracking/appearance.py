"""Telling people of one shot apart by the colours of skin, hair and collar.

In a black-and-white video only the lightness is left, and two people may look the same.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.faces.detection.base import Floats, Image
from datamodules.faces.view import View

AROUND, DOWN = 2.25, 0.3  # side of what is looked at and how much lower than the face it lies, over the box
SIDE = 32  # pixels that it is seen at
BINS = (8, 16, 16)  # of lightness and two colours
REACH = 40.0  # of a colour, beyond which it is not counted
GREY = (
    1.1  # variance of the colours, in bins: 1.0 of greys, at least 1.14 on the studio at a third of its colour or light
)


def draw_keyhole() -> NDArray[np.uint8]:
    """What is of the person, at every angle that a head is held: head and hair, then neck and collar."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE * AROUND - AROUND / 2
    y += DOWN
    head = (x / 0.65) ** 2 + ((y + 0.1) / 0.65) ** 2 < 1
    return (head | ((np.abs(x) < 0.6) & (y > 0.4))).astype(np.uint8)


KEYHOLE = draw_keyhole()


def describe(image: Image, box: Floats) -> Floats:
    """Square root of a soft histogram in CIE Lab: two of them have a cosine; lightness is relative to its median."""
    x0, y0, x1, y1 = map(float, box)
    size = max(x1 - x0, y1 - y0)
    step = AROUND * size / SIDE
    left, top = (x0 + x1) / 2 - AROUND * size / 2, (y0 + y1) / 2 + (DOWN - AROUND / 2) * size
    matrix = np.array([[step, 0, left], [0, step, top]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    lab = cv2.cvtColor(part.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    lab[..., 0] += 50 - np.median(lab[..., 0][KEYHOLE > 0])
    counts = cv2.calcHist([lab], [0, 1, 2], KEYHOLE, list(BINS), [0.0, 100.0, -REACH, REACH, -REACH, REACH])
    for axis in range(3):  # a colour between two bins counts in both
        padded = np.concatenate([counts.take([0], axis), counts, counts.take([-1], axis)], axis)
        low, high = np.split(padded, [2], axis)[1], np.split(padded, [-2], axis)[0]
        counts = 0.5 * counts + 0.25 * (low + high)
    out: Floats = np.sqrt(counts.ravel() / max(float(counts.sum()), 1e-6)).astype(np.float32)
    return out


def similarity(a: Floats, b: Floats) -> float:
    """Bhattacharyya coefficient, at most 1."""
    return float(a @ b)


def is_grey(look: Floats) -> bool:
    """Whether a look knows no colours."""
    share = np.square(look).reshape(BINS).sum(0)
    spread = 0.0
    for axis, bins in enumerate(BINS[1:]):
        one, at = share.sum(1 - axis), np.arange(bins)
        spread += float(one @ at**2 - (one @ at) ** 2)
    return spread < GREY


def correlate(before: Image, box: Floats, now: Image, place: Floats) -> float:
    """Of the greys inside two boxes of neighbouring frames: near 1 for one face, whatever light falls on it."""
    a, b = (
        cv2.cvtColor(View(image, at, 1.0, SIDE).image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        for image, at in ((before, box), (now, place))
    )
    return float(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED).item())
