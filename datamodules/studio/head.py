"""A person's photographs in motion: expression, pose, light, and the projection to a frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.faces.landmarks.points import BROWS, INNER_LIPS, JAW, LEFT_EYE, RIGHT_EYE
from datamodules.studio.face import LIDS, Array, Expression, draw_outline, enlarge, express
from datamodules.studio.portrait import CHIN, LEFT, TOP, Portrait, draw_canvas, make_grid
from datamodules.studio.relief import RELIEF, model_relief, smooth

PIVOT = (0.0, 0.75, -0.45)  # what the head turns about: the top of the neck, in half face widths
COLLAR = CHIN + 0.85  # from the chin to here the neck gives way to shoulders, which do not turn
STEP = 4  # pixels of a frame between those whose place is computed; the others lie between
IRIS = 0.083
BRIGHTNESS = 0.42  # of a face that is exposed well
LASHES = 0.045  # how far above the edge of the lid there is skin alone


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    yaw: float  # radians
    pitch: float
    roll: float
    x: float  # centre of the face in the frame, pixels
    y: float
    radius: float  # half face width, pixels
    body: tuple[float, float]  # as x and y, of the shoulders

    def matrix(self) -> Array:
        (cy, cx, cz), (sy, sx, sz) = (
            np.cos([self.yaw, self.pitch, self.roll]),
            np.sin([self.yaw, self.pitch, self.roll]),
        )
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        return (about_z @ about_x @ about_y).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    direction: Array  # (3,), towards the lamp
    colour: Array  # (3,)
    ambient: float


class Head:
    """Everything of a person that does not change from frame to frame, at one resolution."""

    def __init__(self, portrait: Portrait, scale: float) -> None:
        """
        Args:
            portrait: Who.
            scale: Canvas pixels per half face width.
        """
        self.portrait, self.scale = portrait, scale
        self.points, self.smile = portrait.points, portrait.smile
        self.still = draw_canvas(portrait.neutral, scale)  # (H, W, 4)
        self.smiling = None if portrait.smiling is None else draw_canvas(portrait.smiling, scale)[..., :3].copy()
        self.height, self.width = self.still.shape[:2]
        self.depth = model_relief(self.points)
        slope_y, slope_x = np.gradient(self.depth, 1 / RELIEF)
        normal = np.stack([-slope_x, -slope_y, np.ones_like(slope_x)], -1)
        self.normal = (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32)
        low, high = portrait.mesh.ring.min(0), portrait.mesh.ring.max(0)
        (x0, y0), (x1, y1) = self.pixels(low).astype(int), self.pixels(high).astype(int) + 2
        self.window = (max(0, x0), max(0, y0), min(self.width, x1), min(self.height, y1))
        self.coarse = make_grid(scale, *self.window, step=2)
        hull = cv2.convexHull(self.points[[*JAW, *BROWS]])[:, 0]
        middle = hull.mean(0)
        inside = self.fill(middle + 0.97 * (hull - middle), self.window) / 255
        # (h, w, 1) of the window: the share of the smiling photograph, with a soft edge
        self.face = np.clip(2 * cv2.GaussianBlur(inside, (0, 0), 0.1 * scale) - 1, 0, 1)[..., None]
        x0, y0, x1, y1 = self.window
        skin = self.still[y0:y1, x0:x1, :3][self.face[..., 0] > 0.5].mean()
        self.exposure = float(np.clip((BRIGHTNESS / skin) ** 0.6, 0.8, 1.7))  # as cameras do, by the face

    def pixels(self, points: Array) -> Array:
        """Half face widths to pixels of the canvas."""
        return ((points - np.array([LEFT, TOP], np.float32)) * self.scale - 0.5).astype(np.float32)

    def fill(self, outline: Array, box: tuple[int, int, int, int]) -> Array:
        """How much of each pixel of a box is inside an outline, (h, w) from 0 to 255."""
        x0, y0, x1, y1 = box
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        at = np.rint((self.pixels(outline) - (x0, y0)) * 16).astype(np.int32)
        cv2.fillPoly(mask, [at[:, None]], 255, cv2.LINE_AA, 4)
        return mask.astype(np.float32)

    def warp(self, canvas: Array, source: Array, target: Array) -> Array:
        """The window of a canvas with its (68, 2) points moved from source to target."""
        x0, y0, x1, y1 = self.window
        coarse = self.pixels(self.portrait.mesh.find_source(source, target, self.coarse))
        at = enlarge(coarse, 2, x1 - x0, y1 - y0)
        return cv2.remap(canvas, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def express(self, expression: Expression) -> Array:
        """The (68, 2) landmarks, turned to the front."""
        return express(self.points, self.smile, expression)

    def texture(self, expression: Expression) -> Array:
        """(H, W, 4): the person turned to the front with an expression, as photographed."""
        target = self.express(expression)
        x0, y0, x1, y1 = self.window
        skin = self.points.copy()
        skin[[upper for upper, _ in LIDS], 1] -= LASHES * expression.blink  # the skin above the lashes covers the eye
        part = self.warp(self.still, skin, target)
        smile = float(np.clip(expression.smile, 0, 1))
        if self.smiling is not None and smile > 0.02:
            smiling = self.warp(self.smiling, self.points + self.smile, target)
            part[..., :3] += smile * self.face * (smiling - part[..., :3])
        for eye in (LEFT_EYE, RIGHT_EYE):
            self._look(part, target[[*eye]], self.points[[*eye]], expression)
            self._lashes(part, target[[*eye]], expression.blink)
        self._open(part, target)
        out = self.still.copy()
        out[y0:y1, x0:x1] = np.clip(part, 0, 1)
        return out

    def _box(self, outline: Array) -> tuple[int, int, int, int]:
        """The part of the canvas around an outline, cut at the window."""
        (x0, y0), (x1, y1) = self.pixels(outline.min(0)).astype(int) - 1, self.pixels(outline.max(0)).astype(int) + 3
        left, top, right, bottom = self.window
        return max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)

    def _paint(
        self, part: Array, outline: Array, colour: Array, box: tuple[int, int, int, int], share: float = 1.0
    ) -> None:
        x0, y0, x1, y1 = box
        left, top = self.window[:2]
        under = part[y0 - top : y1 - top, x0 - left : x1 - left, :3]
        under += self.fill(outline, box)[..., None] * np.float32(share / 255) * (colour - under)

    def _look(self, part: Array, lids: Array, still: Array, expression: Expression) -> None:
        """The eyeball between the lids: it is not squeezed when they close, and its iris moves."""
        outline = draw_outline(lids)
        box = self._box(outline)
        at = make_grid(self.scale, *box)
        centre = still.mean(0)
        r = np.hypot(*np.moveaxis(at - centre, -1, 0)) / (1.5 * IRIS)
        shift = np.exp(-(r**4))[..., None] * np.array([0.055, 0.03]) * expression.gaze
        at = self.pixels(at - shift)
        ball = cv2.remap(self.still, at[..., 0], at[..., 1], cv2.INTER_CUBIC)[..., :3]
        self._paint(part, outline, ball, box)

    def _lashes(self, part: Array, lids: Array, blink: float) -> None:
        """The edge of a lid that comes down."""
        if blink < 0.1:
            return
        upper = draw_outline(lids)[:13]  # from corner to corner
        low = upper + np.array([0, 0.022], np.float32) * np.sin(np.linspace(0, np.pi, 13))[:, None] ** 0.5
        outline = np.concatenate([upper, low[::-1]]).astype(np.float32)
        box = self._box(outline)
        self._paint(part, outline, np.array([0.16, 0.1, 0.08], np.float32), box, 0.75 * min(1, 2 * blink))

    def _open(self, part: Array, target: Array) -> None:
        """What is seen between the lips: the teeth of the smile below the upper lip, then dark."""
        inner = target[[*INNER_LIPS]]
        gap = (inner[[7, 6, 5], 1] - inner[[1, 2, 3], 1]).max()
        if gap < 0.01:
            return
        outline = draw_outline(inner)
        box = self._box(outline)
        at = make_grid(self.scale, *box)
        x, y = at[..., 0], at[..., 1]
        below = y - np.interp(x, *inner[:5].T)  # the upper lip
        theirs = (self.points + self.smile)[[*INNER_LIPS]]
        shown = float((theirs[[7, 6, 5], 1] - theirs[[1, 2, 3], 1]).min())
        dark = np.array([0.13, 0.045, 0.04], np.float32) * (1 + 1.2 * smooth(below, 0.1, 0.4)[..., None])
        half, wide = inner[4, 0] - inner[0, 0], theirs[4, 0] - theirs[0, 0]
        u = (x - inner[0, 0]) / half
        if self.smiling is not None and shown > 0.05:
            sx = theirs[0, 0] + u * wide
            sy = np.interp(sx, *theirs[:5].T) + below
            end = np.interp(sx, *theirs[[0, 7, 6, 5, 4]].T)
            where = self.pixels(np.stack([sx, sy], -1))
            colour = cv2.remap(self.smiling, where[..., 0], where[..., 1], cv2.INTER_CUBIC)
            colour = colour + smooth(sy, end - 0.04, end + 0.01)[..., None] * (dark - colour)
        else:
            edge = 0.07 * np.sqrt(np.clip(1 - (2 * u - 1) ** 2, 0, 1))
            teeth = (
                np.array([0.62, 0.57, 0.5], np.float32)
                * (0.75 + 0.25 * np.abs(np.sin(u * np.pi * 8)) ** 0.3)[..., None]
            )
            colour = dark + (1 - smooth(below, edge - 0.02, edge + 0.02))[..., None] * (teeth - dark)
        shade = 0.55 + 0.45 * smooth(below, 0.0, 0.05)
        self._paint(part, outline, (colour * shade[..., None]).astype(np.float32), box)

    # from the canvas to a frame

    def sample(self, field: Array, points: Array) -> Array:
        """A field of the relief at (..., 2) points."""
        at = ((points - np.array([LEFT, TOP], np.float32)) * RELIEF - 0.5).astype(np.float32)
        x, y = at[..., 0], at[..., 1]
        if points.ndim == 2:
            x, y = x[None], y[None]
        out = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return out[0] if points.ndim == 2 else out

    def project(self, points: Array, pose: Pose) -> Array:
        """(..., 2) half face widths to pixels of the frame, pixel centres at whole numbers."""
        m, pivot = pose.matrix(), np.array(PIVOT, np.float32)
        depth = self.sample(self.depth, points)[..., None] - pivot[2]
        turned = (points - pivot[:2]) @ m[:2, :2].T + depth * m[:2, 2] + pivot[:2]
        head = turned * pose.radius + np.array([pose.x, pose.y])
        body = points * pose.radius + np.array(pose.body)
        share = smooth(points[..., 1:], CHIN - 0.1, COLLAR)
        return (head + share * (body - head)).astype(np.float32)

    def unproject(self, pose: Pose, frame: Array, rounds: int = 10) -> Array:
        """(H, W, 2) pixels of the frame to the half face widths that are seen there."""
        p = ((frame - np.array([pose.x, pose.y])) / pose.radius).astype(np.float32)
        for _ in range(rounds):
            p -= (self.project(p, pose) - frame) / pose.radius
        return p


@dataclass(frozen=True, kw_only=True)
class HeadView:
    """What is seen where in a frame, at every fourth pixel; the same for whatever is painted on the head."""

    places: Array  # (h, w, 2) half face widths
    shade: Array  # (h, w)
    colour: Array  # (3,), of the light


def look(head: Head, pose: Pose, light: Light, width: int, height: int) -> HeadView:
    x, y = np.arange(0, width + STEP, STEP), np.arange(0, height + STEP, STEP)
    places = head.unproject(pose, np.stack(np.meshgrid(x, y), -1).astype(np.float32))
    towards = pose.matrix().T @ light.direction
    shade = light.ambient + (1 - light.ambient) * np.clip(head.sample(head.normal, places) @ towards, 0, None)
    front = light.ambient + (1 - light.ambient) * light.direction[2]
    return HeadView(places=places, shade=(shade / front).astype(np.float32), colour=head.exposure * light.colour)


def render(head: Head, texture: Array, view: HeadView, box: tuple[int, int, int, int]) -> Array:
    """The lit person over a box (x0, y0, x1, y1) of the frame, (h, w, 4) with alpha."""
    x0, y0, x1, y1 = box
    field = enlarge(np.dstack([head.pixels(view.places), view.shade]), STEP, x1 - x0, y1 - y0, x0, y0)
    layer = cv2.remap(texture, field[..., 0], field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    layer[..., :3] *= field[..., 2:] * view.colour
    return layer
