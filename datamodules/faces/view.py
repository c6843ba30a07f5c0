"""The surroundings of a face at a size of their own."""

from __future__ import annotations

import cv2
import numpy as np

from datamodules.faces.detection import Floats, Grey


class View:
    """A square around a box, resized so that the box gets a given side."""

    def __init__(self, grey: Grey, box: Floats, around: float, side: float) -> None:
        x0, y0, x1, y1 = map(float, box)
        size = max(x1 - x0, y1 - y0)
        self.scale = side / size
        self.corner = np.array([(x0 + x1) / 2 - around * size / 2, (y0 + y1) / 2 - around * size / 2], np.float32)
        out = max(1, round(around * side))
        matrix = np.array([[1 / self.scale, 0, self.corner[0]], [0, 1 / self.scale, self.corner[1]]], np.float32)
        matrix[:, 2] += 0.5 / self.scale  # corner is the edge of the first pixel, not its centre
        if self.scale < 0.6:  # shrinking by interpolation alone would alias
            x, y = (int(max(0, v)) for v in np.floor(self.corner))
            part = grey[y : int(self.corner[1] + around * size) + 2, x : int(self.corner[0] + around * size) + 2]
            factor = 1 / max(1, int(1 / self.scale))
            grey = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            true = np.array([grey.shape[1] / part.shape[1], grey.shape[0] / part.shape[0]], np.float32)
            matrix *= true[:, None]
            matrix[:, 2] += (0.5 - np.array([x, y])) * true - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        self.picture = cv2.warpAffine(grey, matrix, (out, out), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def inward(self, points: Floats) -> Floats:
        return ((points - self.corner) * self.scale - 0.5).astype(np.float32)

    def outward(self, points: Floats) -> Floats:
        return ((points + 0.5) / self.scale + self.corner).astype(np.float32)
