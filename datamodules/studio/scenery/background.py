"""What is behind a person: a room or a street out of focus, a nearer layer before it, and what moves between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.studio.scenery.indoors import build_curtains, build_office, build_studio, build_study, build_window
from datamodules.studio.scenery.lamplit import build_cafe, build_hall, build_living_room
from datamodules.studio.scenery.paint import Array, blur, develop
from datamodules.studio.scenery.park import build_park
from datamodules.studio.scenery.stage import Scenery, Stage
from datamodules.studio.scenery.street import build_evening, build_street

KINDS: tuple[Callable[[Stage], Scenery], ...] = (
    build_studio,
    build_study,
    build_office,
    build_window,
    build_curtains,
    build_living_room,
    build_cafe,
    build_hall,
    build_street,
    build_park,
    build_evening,
)
DEPTH = 0.85  # how far the far layer follows the camera, against 1 of the near one


@dataclass(frozen=True, slots=True)
class Layer:
    """Something before the far layer, in display values, with a transparent rim."""

    colour: Array  # (h, w, 3) times alpha
    alpha: Array  # (h, w)
    x: int  # where it was in the image that it was cut from
    y: int

    @classmethod
    def cut(cls, image: Array) -> Layer | None:
        """What can be seen of an (h, w, 4) image, if anything."""
        ys, xs = np.nonzero(image[..., 3] > 1 / 512)
        if not len(ys):
            return None
        x0, x1, y0, y1 = int(xs.min()), int(xs.max()) + 1, int(ys.min()), int(ys.max()) + 1
        part = np.pad(image[y0:y1, x0:x1], ((1, 1), (1, 1), (0, 0)))
        return cls(np.ascontiguousarray(part[..., :3]), np.ascontiguousarray(part[..., 3]), x0 - 1, y0 - 1)


class Background:
    """A room or a street, out of focus, in front of which a person is rendered."""

    def __init__(self, rng: np.random.Generator, width: int, height: int, frames: int, fps: int) -> None:
        self.width, self.height = width, height
        stage = Stage(rng, width, height, np.arange(frames) / fps)
        scenery = KINDS[rng.integers(len(KINDS))](stage)
        far = blur(scenery.far, scenery.blur * width)
        middle = np.exp(np.log(far.mean(2)[::4, ::4] + 1e-3).mean())
        exposure = scenery.key / float(middle)
        self.far = develop(veil(far), exposure)
        self.brightness = scenery.brightness
        self.movers: list[tuple[Layer, NDArray[np.float64], NDArray[np.float64]]] = []
        for mover in scenery.movers:
            image = mover.image if mover.blurred else blur(mover.image, scenery.blur * width)
            layer = Layer.cut(develop(image, exposure))
            if layer is not None:
                middle_of = np.array([layer.x - image.shape[1] / 2, layer.y - image.shape[0] / 2])
                self.movers.append((layer, mover.centre + middle_of, mover.strength))
        self.sway = scenery.sway
        self.near: Layer | None = None
        if scenery.near is not None:
            self.near = Layer.cut(develop(blur(scenery.near, scenery.near_blur * width), exposure))

    def render(self, i: int, shift: tuple[float, float] = (0, 0)) -> Array:
        """What is behind the person in frame i, (H, W, 3) in [0, 1].

        Args:
            i: Frame.
            shift: How far the camera has moved, in pixels: what it sees moves the other way.
        """
        h, w = self.far.shape[:2]
        margin = np.array([w - self.width, h - self.height]) / 2
        # bends where the painted wall would end, so that no edge ever shows
        moved = (margin - 2) * np.tanh(np.asarray(shift, np.float64) / (margin - 2))
        view = margin + DEPTH * moved
        middle = view[0] + (self.width - 1) / 2, view[1] + (self.height - 1) / 2
        out: Array = cv2.getRectSubPix(self.far, (self.width, self.height), middle)
        if self.brightness is not None:
            out *= np.float32(self.brightness[i])
        for layer, corner, strength in self.movers:
            if strength[i] > 0.01:
                lay(out, layer, corner[i] - view, float(strength[i]))
        if self.near is not None:
            lay(out, self.near, (self.near.x, self.near.y) + self.sway[i] - margin - moved)
        return np.clip(out, 0, 1, out=out)


def lay(out: Array, layer: Layer, corner: NDArray[np.float64], strength: float = 1.0) -> None:
    """Puts a layer with its upper left corner anywhere between pixels, in place."""
    h, w = layer.alpha.shape
    x0, y0 = np.maximum(np.floor(corner).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corner).astype(int) + np.array([w, h]), (out.shape[1], out.shape[0]))
    if x1 <= x0 or y1 <= y0:
        return
    size = int(x1 - x0), int(y1 - y0)
    middle = x0 - corner[0] + (size[0] - 1) / 2, y0 - corner[1] + (size[1] - 1) / 2
    colour, alpha = cv2.getRectSubPix(layer.colour, size, middle), cv2.getRectSubPix(layer.alpha, size, middle)
    if strength != 1:
        colour, alpha = colour * np.float32(strength), alpha * np.float32(strength)
    keep = 1 - alpha
    below = out[y0:y1, x0:x1]
    below[:] = cv2.add(cv2.multiply(below, cv2.merge([keep, keep, keep])), colour)


def veil(image: Array) -> Array:
    """Light that strays in the lens: a few hundredths of it everywhere near."""
    h, w = image.shape[:2]
    small = cv2.resize(image, (max(w // 8, 4), max(h // 8, 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), small.shape[1] / 8)
    return 0.95 * image + np.float32(0.05) * cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
