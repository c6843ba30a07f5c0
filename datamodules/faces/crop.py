"""The part of a frame that a crop shows: a square around a face, level with the frame or turned with the face."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, cos, radians, sin
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.media.image import Image, binarize, resize
from datamodules.runtime.errors import UserError

Points = NDArray[np.float32]
LARGEST = 3  # side of a crop over the longer side of its frame: beyond, landmarks are wrong and memory is short


class NoCrop(UserError):
    """A face that cannot be cut out of its frame."""


class OutsideImage(NoCrop):
    """A face that is marked where there is no image."""


class Region(ABC):
    """A square part of a frame, which may reach over the edge, turned about its centre."""

    x: float  # its left edge and upper edge before it is turned: 0 is the left edge of the first pixel
    y: float
    side: float
    angle: float = 0.0  # degrees from the rows of the frame to those of the crop, clockwise as it is seen

    @abstractmethod
    def cut(self, frame: Image, size: int) -> Image:
        """(H, W[, 3]) to (size, size[, 3])."""

    def cut_mask(self, mask: Image, size: int) -> Image:
        return binarize(self.cut(mask, size))

    @abstractmethod
    def to_crop(self, points: Points, size: int) -> Points:
        """Points of the frame in pixels of the crop."""

    @abstractmethod
    def spread(self, heat: Image, shape: tuple[int, ...]) -> tuple[Image, int, int] | None:
        """The way back: a map of the crop as it lies on the frame, and the corner of the part that it covers.

        Args:
            heat: (S, S).
            shape: Shape of the frame, height first.
        """


@dataclass(frozen=True, slots=True)
class Square(Region):
    """In whole pixels, level with the frame."""

    x: int
    y: int
    side: int

    @classmethod
    def from_box(cls, box: Points, margin: float) -> Square:
        """
        Args:
            box: x0 y0 x1 y1.
            margin: Side of the square over the longer side of the box.
        """
        x0, y0, x1, y1 = map(float, box)
        side = max(2, round(margin * max(x1 - x0, y1 - y0)))
        return cls(round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side)

    def cut(self, frame: Image, size: int) -> Image:
        """(H, W[, 3]) to (size, size[, 3]); beyond the edge the last pixel repeats."""
        h, w = frame.shape[:2]
        left, top = max(0, -self.x), max(0, -self.y)
        right, bottom = max(0, self.x + self.side - w), max(0, self.y + self.side - h)
        if max(left, top, right, bottom) >= self.side:
            raise explain_outside(self, frame)
        check_size(self, frame)
        part = frame[max(0, self.y) : self.y + self.side, max(0, self.x) : self.x + self.side]
        if left or top or right or bottom:
            part = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_REPLICATE)
        return resize(part, size)

    def to_crop(self, points: Points, size: int) -> Points:
        corner = np.array([self.x, self.y], np.float32)
        return ((points - corner + 0.5) * (size / self.side) - 0.5).astype(np.float32)

    def spread(self, heat: Image, shape: tuple[int, ...]) -> tuple[Image, int, int] | None:
        height, width = shape[:2]
        x0, y0 = max(0, self.x), max(0, self.y)
        x1, y1 = min(width, self.x + self.side), min(height, self.y + self.side)
        if x0 >= x1 or y0 >= y1:
            return None
        whole = cv2.resize(heat, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        return whole[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x], x0, y0


@dataclass(frozen=True, slots=True)
class Turned(Region):
    """Turned, and between pixels."""

    x: float
    y: float
    side: float
    angle: float
    border: Literal["repeat", "black"] = "repeat"  # beyond the edge of the frame

    def matrix(self, size: int) -> NDArray[np.float64]:
        """(2, 3) from pixels of the frame to pixels of the crop."""
        scale, angle = size / self.side, radians(self.angle)
        turn = scale * np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
        centre = np.array([self.x, self.y]) + (self.side - 1) / 2
        return np.column_stack([turn, (size - 1) / 2 - turn @ centre])

    def corners(self) -> Points:
        """(4, 2) in pixels of the frame, in the order in which they are passed."""
        back = cv2.invertAffineTransform(self.matrix(1))
        edges = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        return (edges @ back[:, :2].T + back[:, 2]).astype(np.float32)

    def cut(self, frame: Image, size: int) -> Image:
        h, w = frame.shape[:2]
        image = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]], np.float32)
        if not cv2.intersectConvexConvex(self.corners(), image)[0] > 0:
            raise explain_outside(self, frame)
        check_size(self, frame)
        finer = max(1, ceil(self.side / size))  # shrinking by interpolation alone would alias
        out: Image = cv2.warpAffine(
            frame,
            self.matrix(finer * size),
            (finer * size, finer * size),
            # as sharp as a level crop within a fifth: cubic on a finer grid would sharpen, linear alone would blur
            flags=cv2.INTER_LINEAR if finer > 1 else cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_CONSTANT if self.border == "black" else cv2.BORDER_REPLICATE,
        )
        return resize(out, size)

    def to_crop(self, points: Points, size: int) -> Points:
        matrix = self.matrix(size)
        return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)

    def spread(self, heat: Image, shape: tuple[int, ...]) -> tuple[Image, int, int] | None:
        corners = self.corners()
        x0, y0 = (int(v) for v in np.floor(corners.min(0)).clip(0))
        x1, y1 = (int(v) for v in np.minimum(np.ceil(corners.max(0)) + 1, shape[1::-1]))
        if x0 >= x1 or y0 >= y1:
            return None
        matrix = self.matrix(len(heat))
        matrix[:, 2] += matrix[:, :2] @ (x0, y0)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(heat, matrix, (x1 - x0, y1 - y0), flags=flags), x0, y0


def explain_outside(region: Region, frame: Image) -> OutsideImage:
    h, w = frame.shape[:2]
    return OutsideImage(
        f"the square of {region.side:g} pixels at {region.x:g}, {region.y:g} is outside the {w} x {h} image"
    )


def restore_region(x: float, y: float, side: float, angle: float) -> Region:
    """From the columns of a table; that of a crop that was not aligned has whole numbers."""
    if angle == 0 and x == int(x) and y == int(y) and side == int(side):
        return Square(int(x), int(y), int(side))
    return Turned(float(x), float(y), float(side), float(angle))


def check_size(region: Region, frame: Image) -> None:
    h, w = frame.shape[:2]
    if region.side > LARGEST * max(h, w):
        raise NoCrop(f"the crop of {region.side:.0f} pixels is more than {LARGEST} times the {w} x {h} image")
