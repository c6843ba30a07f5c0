"""What every forgery of the studio is made from, and the regions that it alters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.faces.landmarks.points import BROWS, JAW, LEFT_BROW, LEFT_EYE, LIPS, NOSE, RIGHT_BROW, RIGHT_EYE
from datamodules.studio.camera import Camera
from datamodules.studio.face import Array, Expression
from datamodules.studio.head import Head, render
from datamodules.studio.portrait import Portrait
from datamodules.studio.scene import RenderedFrame, composite
from datamodules.studio.shot import Shot

Box = tuple[int, int, int, int]
LEAST = 1 / 32  # share of new pixel below which a pixel is left as it was


@dataclass(frozen=True, kw_only=True)
class Take:
    """A rendered target and what a forger has of the source."""

    target: Portrait
    source: Portrait
    shot: Shot
    camera: Camera
    frames: list[RenderedFrame]
    source_shot: Shot
    difficulty: float  # 0 leaves strong traces, 1 faint ones
    seed: list[int]

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def interpolate(self, obvious: float, faint: float) -> float:
        """A strength at the difficulty of this take."""
        return obvious + (faint - obvious) * self.difficulty

    @property
    def radius(self) -> float:
        return max(pose.radius for pose in self.shot.poses)


@dataclass(frozen=True, kw_only=True)
class Forged:
    image: Array  # (H, W, 3), before the sensor
    alpha: Array  # (H, W), the share of new pixel
    points: Array  # (68, 2)

    def shoot(self, camera: Camera, i: int, real: NDArray[np.uint8], difficulty: float) -> NDArray[np.uint8]:
        """Frame i of the forged video: the real one but for what is new."""
        out = real.copy()
        if not self.alpha.any():
            return out  # nothing of what it changes is in view
        box = x0, y0, x1, y1 = find_box(self.alpha)
        # what is pasted after the camera has less of its noise
        keep_noise = 1 - (1 - difficulty) * self.alpha[y0:y1, x0:x1, None]
        out[y0:y1, x0:x1] = camera.shoot(self.image[y0:y1, x0:x1], i, keep_noise, box)
        return out


Forgery = Callable[[Take], Iterator[Forged]]


def cover_groups(shape: tuple[int, ...], groups: list[Array], grow: float, feather: float) -> Array:
    """The convex hulls of groups of points, each grown about its centre, with a soft edge inside it."""
    mask = np.zeros(shape[:2], np.float32)
    for points in groups:
        centre = points.mean(0)
        hull = cv2.convexHull(((centre + grow * (points - centre)) * 16).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1.0, cv2.LINE_AA, 4)
    soft = soften(mask, feather)
    return soft if soft.any() else np.where(mask < LEAST, 0, mask)  # too thin for a soft edge, as closed eyes are


def soften(mask: Array, feather: float) -> Array:
    """A soft edge inside of a mask, which ends where the mask does."""
    soft = np.clip(2 * cv2.GaussianBlur(mask, (0, 0), max(feather, 0.3)) - 1, 0, 1)
    return np.where(soft < LEAST, 0, soft).astype(np.float32)


def find_box(alpha: Array, room: int = 0) -> Box:
    """The smallest box around what is not 0, at least one pixel."""
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    width, height = max(1, width), max(1, height)
    h, w = alpha.shape
    return max(0, x - room), max(0, y - room), min(w, x + width + room), min(h, y + height + room)


def blend(image: Array, new: Array, alpha: Array, box: Box) -> Array:
    """An image with a new part over a box of it."""
    x0, y0, x1, y1 = box
    out = image.copy()
    part = out[y0:y1, x0:x1]
    part += alpha[y0:y1, x0:x1, None] * (new - part)
    return out


def follow_pixels(alpha: Array, old: Array, new: Array) -> Array:
    """Landmarks follow the new pixels where these cover them."""
    x, y = np.clip(old.round().astype(int), 0, np.array(alpha.shape)[::-1] - 1).T
    return np.where(alpha[y, x, None] > 0.5, new, old)


def repaint(take: Take, i: int, head: Head, expression: Expression, box: Box) -> Array:
    """Another head in the place of the target's, over a box of frame i and through the same lens."""
    room = math.ceil(4 * take.camera.softness) + 1  # that the lens reaches
    h, w = take.frames[i].image.shape[:2]
    x0, y0, x1, y1 = box
    wide = (max(0, x0 - room), max(0, y0 - room), min(w, x1 + room), min(h, y1 + room))
    layer = render(head, head.texture(expression), take.frames[i].view, wide)
    image = take.camera.focus(composite(layer, take.frames[i].behind[wide[1] : wide[3], wide[0] : wide[2]]))
    return image[y0 - wide[1] : y1 - wide[1], x0 - wide[0] : x1 - wide[0]]


def group_parts(points: Array) -> dict[str, list[Array]]:
    """The groups of landmarks of each part of a face."""
    return {
        "eyes": [points[[*LEFT_EYE]], points[[*RIGHT_EYE]]],
        "nose": [points[[*NOSE]]],
        "lips": [points[[*LIPS]]],
        "cheeks": [points[[1, 3, 5, 31, 40]], points[[15, 13, 11, 35, 47]]],
        "brows": [points[[*LEFT_BROW]], points[[*RIGHT_BROW]]],
    }


def pair_groups(old: list[Array], new: list[Array]) -> list[Array]:
    return [np.concatenate(pair) for pair in zip(old, new, strict=True)]


def outline_face(points: Array) -> Array:
    return points[[*JAW, *BROWS]]


def repaint_frames(
    take: Take, head: Head, cover: Callable[[RenderedFrame, Array], Array], expressions: list[Expression] | None = None
) -> Iterator[Forged]:
    """Another head in what cover makes of a frame and its new points, with the target's expressions or with others."""
    for i, (frame, expression) in enumerate(zip(take.frames, expressions or take.shot.expressions, strict=True)):
        theirs = head.project(head.express(expression), take.shot.poses[i])
        alpha = cover(frame, theirs)
        box = find_box(alpha)
        image = blend(frame.image, repaint(take, i, head, expression, box), alpha, box)
        yield Forged(image=image, alpha=alpha, points=follow_pixels(alpha, frame.points, theirs))
