"""The surroundings of a face at a size of their own, upright where the face is turned."""

from __future__ import annotations

import cv2
import numpy as np

from datamodules.faces.detection.base import Floats, Grey, Image


class View:
    """A square around a box, resized so that the box gets a given side."""

    def __init__(self, image: Image | Grey, box: Floats, around: float, side: float, roll: float = 0.0) -> None:
        """
        Args:
            around: Side of the square over that of the box.
            side: Side of the box in the view in pixels.
            roll: By how much the face is turned clockwise in the image, radians.
        """
        x0, y0, x1, y1 = map(float, box)
        size = max(x1 - x0, y1 - y0)
        self.scale, self.roll = side / size, roll
        self.corner = np.array([(x0 + x1) / 2 - around * size / 2, (y0 + y1) / 2 - around * size / 2], np.float32)
        self.centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)
        out = max(1, round(around * side))
        matrix = np.array([[1 / self.scale, 0, self.corner[0]], [0, 1 / self.scale, self.corner[1]]], np.float32)
        matrix[:, 2] += 0.5 / self.scale  # corner is the edge of the first pixel, not its centre
        reach = around * size / 2
        if roll:
            turn = rotation(roll)
            shift = turn @ (matrix[:, 2] - self.centre) + self.centre
            matrix = np.column_stack([turn @ matrix[:, :2], shift]).astype(np.float32)
            reach *= float(np.abs(turn[0]).sum())
        if self.scale < 0.6:  # shrinking by interpolation alone would alias
            start = self.corner if not roll else self.centre - np.float32(reach)
            step = max(1, int(1 / self.scale))
            # beside the image, the pixels of its edge
            x, y = (int(max(0, min(np.floor(v), n - step))) for v, n in zip(start, image.shape[1::-1], strict=True))
            right, bottom = (max(low + step, int(v + 2 * reach) + 2) for low, v in zip((x, y), start, strict=True))
            part = image[y:bottom, x:right]
            factor = 1 / step
            image = np.asarray(cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
            true = np.array([image.shape[1] / part.shape[1], image.shape[0] / part.shape[0]], np.float32)
            matrix = matrix * true[:, None]
            matrix[:, 2] += (0.5 - np.array([x, y])) * true - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        self.image = np.asarray(
            cv2.warpAffine(image, matrix, (out, out), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )

    def to_view(self, points: Floats) -> Floats:
        if self.roll:
            points = ((points - self.centre) @ rotation(self.roll) + self.centre).astype(np.float32)
        return ((points - self.corner) * self.scale - 0.5).astype(np.float32)

    def to_frame(self, points: Floats) -> Floats:
        points = ((points + 0.5) / self.scale + self.corner).astype(np.float32)
        if self.roll:
            points = ((points - self.centre) @ rotation(self.roll).T + self.centre).astype(np.float32)
        return points


def rotation(roll: float) -> Floats:
    """(2, 2), clockwise in an image."""
    return np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]], np.float32)
