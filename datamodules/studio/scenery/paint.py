"""Paint in linear light: shapes in metres, textures, turned planes, and what a lens out of focus makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Colour = NDArray[np.floating] | Sequence[float]
Point = tuple[float, float]
CONTRAST = 0.35  # of the curve from light to display values


def wander(
    rng: np.random.Generator, seconds: NDArray[np.floating], spread: float, slowest: float = 0.15, fastest: float = 0.7
) -> NDArray[np.float64]:
    """A smooth random walk around 0 with about the given standard deviation."""
    hertz = rng.uniform(slowest, fastest, 4)
    phase = rng.uniform(0, 2 * np.pi, 4)
    return spread / np.sqrt(2) * np.sin(2 * np.pi * hertz * np.asarray(seconds)[:, None] + phase).sum(1)


def mix_tint(rng: np.random.Generator, light: float | Point, warmth: float = 0.0, colourful: float = 0.12) -> Array:
    """A linear (3,) colour of about that luminance: mostly warmer or colder than grey, seldom greener or pinker."""
    level = light if isinstance(light, float) else float(np.exp(rng.uniform(*np.log(light))))
    warm, green = warmth + colourful * rng.standard_normal(), 0.35 * colourful * rng.standard_normal()
    return (level * np.exp([warm, green, -1.2 * warm])).astype(np.float32)


def mix_hue(rng: np.random.Generator, light: float, strength: float) -> Array:
    """A linear (3,) colour, most often a brown, red or ochre, then a blue, then a green, hardly ever a violet."""
    warm, blue, green = 0.45, 3.7, 2.0
    angle = rng.normal(rng.choice([warm, blue, green], p=[0.5, 0.3, 0.2]), 0.4)
    axis = np.cos(angle + np.array([0, -2, 2]) * np.pi / 3)
    return (light * np.exp(strength * axis)).astype(np.float32)


def draw_clouds(
    rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 4, fade: float = 0.55
) -> Array:
    """Fractal noise with about unit variance, (height, width)."""
    total, power = np.zeros((height, width), np.float32), 0.0
    for k in range(octaves):
        size = max(cell / 2**k, 1.0)
        grid = rng.standard_normal((int(height / size) + 3, int(width / size) + 3), dtype=np.float32)
        total += fade**k * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        power += fade ** (2 * k) * 0.55
    return total / np.float32(np.sqrt(power))


class Canvas:
    """A plane in linear light, measured in metres from its middle, y upwards; with four channels, RGB times alpha."""

    def __init__(self, width: int, height: int, scale: float, colour: Array | None = None, channels: int = 3) -> None:
        """
        Args:
            width: In pixels.
            height: In pixels.
            scale: Pixels per metre.
            colour: Background colour.
            channels: 4 for something that can be seen past.
        """
        self.image = np.zeros((height, width, channels), np.float32)
        if colour is not None:
            self.image[:] = colour
        self.scale = scale
        self.right, self.top = width / 2 / scale, height / 2 / scale

    def fill(
        self,
        points: Sequence[Point] | NDArray[np.floating],
        colour: Colour,
        soft: float = 0.0,
        opacity: float = 1.0,
        down: float = 0.0,
        across: float = 0.0,
    ) -> None:
        """Fills a polygon.

        Args:
            points: Corners in metres.
            colour: Linear RGB.
            soft: How wide its edge fades, in metres.
            opacity: How much it hides.
            down: By which share it darkens from its top to its bottom.
            across: By which share it darkens from its left to its right.
        """
        height, width, channels = self.image.shape
        pixels = np.asarray(points, np.float64) * (self.scale, -self.scale) + (width / 2, height / 2)
        pad = 2 + 2.5 * soft * self.scale
        x0, y0 = np.maximum(np.floor(pixels.min(0) - pad), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(pixels.max(0) + pad), (width, height)).astype(int)
        if x1 <= x0 or y1 <= y0:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [np.round((pixels - (x0, y0) - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        cover = mask.astype(np.float32)[..., None] * np.float32(opacity / 255)
        if soft * self.scale > 0.3:
            cover = cv2.GaussianBlur(cover, (0, 0), soft * self.scale)[..., None]
        paint = np.ones(channels, np.float32)
        paint[:3] = np.asarray(colour)[:3]
        shade = np.ones((*mask.shape, 1), np.float32)
        low, high = pixels.min(0) - (x0, y0), pixels.max(0) - (x0, y0)
        if down:
            shade = shade - np.float32(down) * make_ramp(mask.shape[0], low[1], high[1])[:, None, None]
        if across:
            shade = shade - np.float32(across) * make_ramp(mask.shape[1], low[0], high[0])[None, :, None]
        part = self.image[y0:y1, x0:x1]
        paint = paint * shade if channels == 3 else np.concatenate([paint[:3] * shade, np.ones_like(shade)], 2)
        part += cover * (paint - part)

    def fill_box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Colour,
        soft: float = 0.0,
        opacity: float = 1.0,
        down: float = 0.0,
        across: float = 0.0,
    ) -> None:
        """Fills a rectangle; see fill, which takes longer."""
        height, width, channels = self.image.shape
        left, right = x0 * self.scale + width / 2, x1 * self.scale + width / 2
        top, bottom = height / 2 - y1 * self.scale, height / 2 - y0 * self.scale
        fade = max(2.5 * soft * self.scale, 1.0)
        u0, u1 = max(int(left - fade), 0), min(int(right + fade) + 1, width)
        v0, v1 = max(int(top - fade), 0), min(int(bottom + fade) + 1, height)
        if u1 <= u0 or v1 <= v0:
            return
        u, v = np.arange(u0 + 0.5, u1, dtype=np.float32), np.arange(v0 + 0.5, v1, dtype=np.float32)
        cover = cover_stretch(v, top, bottom, fade)[:, None] * cover_stretch(u, left, right, fade)
        if opacity != 1:
            cover *= np.float32(opacity)
        paint = np.ones(channels, np.float32)
        paint[:3] = colour[:3]
        part = self.image[v0:v1, u0:u1]
        if down or across:
            shade = 1 - np.float32(down) * (np.minimum(np.maximum(v, top), bottom) - top)[:, None] / (bottom - top)
            shade = shade - np.float32(across) * (np.minimum(np.maximum(u, left), right) - left) / (right - left)
            paint = np.tile(paint, (*shade.shape, 1))
            paint[..., :3] *= shade[..., None]
        part += cover[..., None] * (paint - part)

    def fill_oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Colour,
        turn: float = 0.0,
        **look: float,
    ) -> None:
        """Fills an ellipse turned by an angle; see fill."""
        a = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        self.fill(place_outline(x, y, rx * np.cos(a), ry * np.sin(a), turn), colour, **look)

    def fill_leaf(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Colour,
        turn: float = 0.0,
        **look: float,
    ) -> None:
        """Fills an ellipse with two pointed ends, one half of it in the shade of the other; see fill."""
        a = np.linspace(0, np.pi, 8)
        for side, light in ((-1, 1.0), (1, 0.72)):
            outline = place_outline(x, y, side * rx * np.sin(a) ** 1.5, ry * np.cos(a), turn)
            self.fill(outline, np.asarray(colour) * light, **look)

    def mottle(self, rng: np.random.Generator, cell: float, amount: float, octaves: int = 4) -> None:
        """Uneven reflection everywhere, in patches of about so many metres."""
        h, w = self.image.shape[:2]
        self.image[..., :3] *= np.exp(amount * draw_clouds(rng, h, w, max(cell * self.scale, 2), octaves))[..., None]

    def light(self, lamps: Sequence[tuple[float, float, float, Array]], ambient: Array) -> None:
        """Multiplies by an illumination: each lamp (x, y, metres before the wall, colour) falls off with distance."""
        h, w = self.image.shape[:2]
        x = (np.arange(w, dtype=np.float32)[None] + 0.5 - w / 2) / self.scale
        y = (h / 2 - 0.5 - np.arange(h, dtype=np.float32)[:, None]) / self.scale
        total = np.empty((h, w, 3), np.float32)
        total[:] = ambient
        for lx, ly, depth, colour in lamps:
            square = 1 + ((x - lx) ** 2 + (y - ly) ** 2) / np.float32(depth**2)
            total += (1 / (square * np.sqrt(square)))[..., None] * colour  # inverse square times the slant
        self.image[..., :3] *= total

    def turn(self, yaw: float, pitch: float, roll: float, distance: float) -> Array:
        """The plane turned before a camera that stands so many metres away."""
        h, w = self.image.shape[:2]
        rotate = cv2.Rodrigues(np.array([0.0, yaw, 0.0]))[0] @ cv2.Rodrigues(np.array([pitch, 0.0, 0.0]))[0]
        rotate = cv2.Rodrigues(np.array([0.0, 0.0, roll]))[0] @ rotate
        focal = distance * self.scale
        place = np.stack([rotate[:, 0], rotate[:, 1], np.array([0, 0, distance * self.scale])], 1)
        view = np.array([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1]])
        middle = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1.0]])
        return cv2.warpPerspective(self.image, view @ place @ middle, (w, h), borderMode=cv2.BORDER_REFLECT)


def place_outline(
    x: float, y: float, u: NDArray[np.floating], v: NDArray[np.floating], turn: float
) -> NDArray[np.floating]:
    """An outline around 0 turned by an angle and moved, (N, 2)."""
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([x + c * u - s * v, y + s * u + c * v], 1)


def cover_stretch(at: Array, start: float, end: float, fade: float) -> Array:
    """How far a stretch covers each of some pixels, fading over so many of them at both ends."""
    cover = np.minimum(at - np.float32(start), np.float32(end) - at) / np.float32(fade) + np.float32(0.5)
    cover = np.minimum(np.maximum(cover, 0), min(1.0, (end - start) / fade))
    return (cover * cover * (3 - 2 * cover) if fade > 1 else cover).astype(np.float32)


def make_ramp(length: int, start: float, end: float) -> Array:
    """From 0 at start to 1 at end, (length,)."""
    return np.clip((np.arange(length, dtype=np.float32) - start) / max(end - start, 1.0), 0, 1).astype(np.float32)


def blur(image: Array, radius: float) -> Array:
    """What a lens out of focus makes of it: each point a disc of so many pixels, its rim slightly soft."""
    if radius < 0.5:
        return image
    reach = int(np.ceil(radius + 1))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    kernel *= 0.85 + 0.15 * np.hypot(x, y) / radius  # a little brighter at its rim, like a real lens
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def develop(image: Array, exposure: float) -> Array:
    """Display values in [0, 1] of linear light, highlights rolled off; a fourth channel is the alpha of the others."""
    if image.shape[2] == 4:
        alpha: Array = np.maximum(image[..., 3:], np.float32(1e-4))
        return np.concatenate([develop(image[..., :3] / alpha, exposure) * image[..., 3:], image[..., 3:]], 2)
    shown = 1 - np.exp(-np.float32(exposure) * np.maximum(image, 0))
    np.power(shown, np.float32(1 / 2.2), out=shown)
    return shown + np.float32(CONTRAST) * shown * (1 - shown) * (2 * shown - 1)
