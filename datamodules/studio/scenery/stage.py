"""What a background is made of before the lens sees it, and the things that move in one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datamodules.studio.scenery.paint import Array, Canvas, mix_hue, mix_tint, wander

Lamp = tuple[float, float, float, Array]  # x, y, metres before the wall, colour
MARGIN = 0.14  # of the width, painted beyond every edge for a camera that moves


class Stage:
    """The size of a shot in pixels and seconds, and the draws of one background."""

    def __init__(self, rng: np.random.Generator, width: int, height: int, seconds: NDArray[np.floating]) -> None:
        self.rng, self.seconds = rng, seconds
        margin = round(MARGIN * width)
        self.width, self.height = width + 2 * margin, height + 2 * margin
        self.seen, self.across = height, width  # of the shot itself

    def scale(self, metres: float) -> float:
        """Pixels per metre where the shot is so many metres high."""
        return self.seen / metres

    def make_canvas(self, metres: float, colour: Array | None = None, channels: int = 3, wide: float = 1.0) -> Canvas:
        return Canvas(round(self.width * wide), self.height, self.scale(metres), colour, channels)

    def crop(self, image: Array) -> Array:
        """The middle of a plane that was painted wider."""
        x = (image.shape[1] - self.width) // 2
        return image[:, x : x + self.width]

    def toss(self, share: float) -> bool:
        return bool(self.rng.random() < share)


@dataclass(slots=True)
class Mover:
    """A small image that moves, in linear light times alpha."""

    image: Array  # (h, w, 4)
    centre: NDArray[np.float64]  # (frames, 2) in pixels of the far layer
    strength: NDArray[np.float64]  # (frames,) in [0, 1]
    blurred: bool = False  # already as the lens shows it


@dataclass(slots=True, kw_only=True)
class Scenery:
    """A background in linear light."""

    far: Array  # (h, w, 3)
    near: Array | None = None  # (h, w, 4)
    movers: list[Mover] = field(default_factory=list)
    blur: float  # radius of the far layer's disc, of the width of the shot
    near_blur: float = 0.01
    key: float = 0.2  # what the middle tone is exposed to, linear
    sway: NDArray[np.float64]  # (frames, 2) of the near layer, in pixels
    brightness: NDArray[np.float64] | None = None  # (frames,)


def hold_still(stage: Stage) -> NDArray[np.float64]:
    return np.zeros((len(stage.seconds), 2))


def sway(stage: Stage, pixels: float) -> NDArray[np.float64]:
    """What wind does to leaves."""
    t = stage.seconds
    wide = stage.seen / 192 * pixels
    return np.stack([wander(stage.rng, t, wide, 0.2, 0.9), wander(stage.rng, t, wide / 3, 0.3, 1.1)], 1)


def pad(canvas: Canvas, blur: float) -> Array:
    """Room around a small image for the disc that each of its points becomes."""
    edge = int(np.ceil(blur)) + 3
    return np.pad(canvas.image, ((edge, edge), (edge, edge), (0, 0)))


def make_walker(stage: Stage, scale: float, foot: float, blur: float, light: float = 1.0) -> Mover:
    """Someone who passes behind, a figure of some 1.7 m.

    Args:
        stage: The shot.
        scale: Pixels per metre where they walk.
        foot: The height of their feet, in metres above the middle.
        blur: Radius of the disc that each point becomes, in pixels.
        light: How bright it is there.
    """
    rng = stage.rng
    tall, stout = rng.uniform(1.55, 1.9), rng.uniform(0.85, 1.2)
    canvas = Canvas(int(1.0 * scale) + 4, int(tall * scale) + 4, scale, channels=4)
    coat, legs = mix_tint(rng, (0.015, 0.5)) * light, mix_tint(rng, (0.015, 0.15), -0.05) * light
    if stage.toss(0.25):
        coat = mix_hue(rng, 0.12, 0.7) * np.float32(light)
    skin, hair = mix_tint(rng, (0.08, 0.4), 0.28, 0.05) * light, mix_tint(rng, (0.008, 0.12), 0.15) * light
    top, half = tall / 2, 0.23 * stout
    for side in (-1, 1):
        canvas.fill(
            [(0.01 * side, -0.05), (side * half * 0.8, -0.05), (side * half * 0.85, -top), (side * 0.07, -top)], legs
        )
        canvas.fill(
            [
                (side * half * 0.8, top - 0.3),
                (side * half, top - 0.34),
                (side * half * 1.25, -0.05),
                (side * half, -0.1),
            ],
            coat * 0.85,
        )
    canvas.fill(
        [
            (-half * 0.4, top - 0.24),
            (half * 0.4, top - 0.24),
            (half, top - 0.34),
            (half * 0.8, -0.15),
            (-half * 0.8, -0.15),
            (-half, top - 0.34),
        ],
        coat,
        across=0.25,
    )
    canvas.fill([(-0.05, top - 0.3), (0.05, top - 0.3), (0.05, top - 0.18), (-0.05, top - 0.18)], skin * 0.8)
    canvas.fill_oval(0, top - 0.13, 0.085, 0.115, skin)
    canvas.fill_oval(0, top - 0.08, 0.095, 0.085, hair)
    pace = rng.uniform(0.7, 1.5) * scale * rng.choice([-1, 1])
    t = stage.seconds
    # on their way through the middle some time in the shot, so that most of them are seen
    start = rng.uniform(0, max(float(t[-1]), 1.0))
    x = stage.width * rng.uniform(0.1, 0.9) + pace * (t - start)
    step = rng.uniform(1.7, 2.1)
    y = stage.height / 2 - (foot + tall / 2) * scale - 0.02 * scale * np.abs(np.sin(np.pi * step * t))
    return Mover(pad(canvas, blur), np.stack([x, y], 1), np.ones(len(t)))


def make_glint(
    stage: Stage, at: tuple[float, float], radius: float, colour: Array, strength: NDArray[np.floating]
) -> Mover:
    """A light that comes and goes, the disc that the lens makes of it, at a place of the far layer in pixels."""
    edge = int(np.ceil(radius)) + 2
    canvas = Canvas(2 * edge, 2 * edge, 1.0, channels=4)
    canvas.fill_oval(0, 0, radius, radius, colour, soft=0.4)
    return Mover(canvas.image, np.tile(at, (len(stage.seconds), 1)), np.clip(strength, 0, 1), blurred=True)


def place_lamps(stage: Stage, canvas: Canvas, count: int | None = None) -> tuple[list[Lamp], Array]:
    """Light of a room: one or two lamps out of sight, and what the walls give back."""
    rng = stage.rng
    found = []
    for _ in range(count or int(rng.integers(1, 3))):
        x, y = rng.uniform(-1.4, 1.4) * canvas.right, rng.uniform(0.2, 1.5) * canvas.top
        found.append((x, y, rng.uniform(0.8, 2.5), mix_tint(rng, (0.5, 1.5), 0.08, 0.08)))
    return found, mix_tint(rng, (0.15, 0.5), 0, 0.06)


def finish_wall(stage: Stage, canvas: Canvas) -> Array:
    """The wall as the camera sees it, seldom quite head-on."""
    rng = stage.rng
    yaw = float(np.clip(rng.normal(0, 0.17), -0.33, 0.33))
    image = canvas.turn(yaw, rng.uniform(-0.06, 0.06), rng.uniform(-0.02, 0.02), rng.uniform(2.0, 3.5) * canvas.top)
    return stage.crop(image)
