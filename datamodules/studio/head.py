"""A generated head: drawn in canonical coordinates, then posed, lit and projected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.studio.identity import Identity

Array = NDArray[np.floating[Any]]  # float32 throughout; OpenCV takes no other
ASPECT = 1.267  # half height of a face over its half width
REACH_X, REACH_Y = 1.5, 1.8  # the canvas around the face, in half widths
PIVOT = 0.35  # depth of the axis that the head turns about


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    blink: float = 0.0  # 1 is closed
    gaze: tuple[float, float] = (0.0, 0.0)
    mouth: float = 0.0  # 1 is wide open
    smile: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    yaw: float  # radians
    pitch: float
    roll: float
    x: float  # centre of the head in the picture, pixels
    y: float
    radius: float  # half face width, pixels

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


def bump(u: Array, v: Array, cu: float, cv: float, su: float, sv: float) -> Array:
    return np.exp(-(((u - cu) / su) ** 2 + ((v - cv) / sv) ** 2))


def paint(canvas: Array, alpha: Array, colour: object) -> None:
    canvas += alpha[..., None] * (np.asarray(colour, np.float32) - canvas)


def half_width(identity: Identity, v: Array) -> Array:
    w, low = identity.face_width, np.clip(v, 0, 1) ** 1.5
    return (w * (1 - (1 - identity.jaw) * low)).astype(np.float32)


class Head:
    """Everything of a person that does not change from frame to frame, at one resolution."""

    def __init__(self, identity: Identity, scale: float) -> None:
        """
        Args:
            identity: Who.
            scale: Canvas pixels per half face width.
        """
        self.identity, self.scale = identity, scale
        self.size = (round(2 * REACH_X * scale), round(2 * REACH_Y * scale))  # width, height
        x = (np.arange(self.size[0], dtype=np.float32) + 0.5) / scale - REACH_X
        y = (np.arange(self.size[1], dtype=np.float32) + 0.5) / scale - REACH_Y
        self.u = np.broadcast_to(x, self.size[::-1]).astype(np.float32)
        self.v = np.broadcast_to(y[:, None] / ASPECT, self.size[::-1]).astype(np.float32)
        self.r2 = (self.u / half_width(identity, self.v)) ** 2 + self.v**2
        # Two heights: a smooth one that parallax can follow, a detailed one that only shades.
        nose = bump(self.u, self.v, 0, 0.15 * identity.nose_length, 0.16, 0.22)
        self.depth = (np.clip(0.75 * (1 - self.r2), -0.3, None) + 0.16 * nose).astype(np.float32)
        self.normal = self._normals()
        self.albedo, self.alpha = self._albedo()

    def _normals(self) -> Array:
        p, u, v = self.identity, self.u, self.v
        z = 0.9 * np.sqrt(np.clip(1 - self.r2, 0, None))
        for side in (-1, 1):
            eye = (side * p.eye_u, p.eye_v)
            z += -0.10 * bump(u, v, *eye, 0.22, 0.13) + 0.05 * bump(u, v, *eye, 0.14, 0.07)
            z += 0.05 * bump(u, v, eye[0], eye[1] - 0.22, 0.26, 0.06)
            z += 0.07 * bump(u, v, side * 0.13 * p.nose_width, 0.24 * p.nose_length, 0.07, 0.06)
            z += 0.05 * bump(u, v, side * 0.55, 0.15, 0.22, 0.2)
        ridge = np.where((v > -0.25) & (v < 0.28 * p.nose_length), (v + 0.25) / 0.53, 0).astype(np.float32)
        z += 0.28 * ridge**1.2 * np.exp(-((u / ((0.07 + 0.07 * ridge) * p.nose_width)) ** 2))
        z += 0.05 * bump(u, v, 0, p.mouth_v - 0.05, p.mouth_width, 0.05)
        z += 0.06 * bump(u, v, 0, p.mouth_v + 0.07, 0.85 * p.mouth_width, 0.05)
        z += 0.05 * bump(u, v, 0, 0.82, 0.2, 0.1)
        zy, zx = np.gradient(cv2.GaussianBlur(z.astype(np.float32), (0, 0), max(0.6, self.scale / 90)), 1 / self.scale)
        normal = np.stack([-zx, -zy, np.ones_like(z)], -1)
        return (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32)

    def _albedo(self) -> tuple[Array, Array]:
        p, u, v = self.identity, self.u, self.v
        rng = np.random.default_rng(p.seed)
        out = np.broadcast_to(np.asarray(p.hair, np.float32) * 0.8, (*u.shape, 3)).copy()
        grain = np.zeros(u.shape, np.float32)
        for sigma, gain in (
            (0.012, 0.03),
            (0.03, 0.03),
            (0.12, 0.04),
        ):  # pores, blotches, shades, at any resolution alike
            coarse = rng.standard_normal((round(2 * REACH_Y / sigma) + 2, round(2 * REACH_X / sigma) + 2), np.float32)
            fine = cv2.resize(
                coarse, self.size, interpolation=cv2.INTER_AREA if self.scale * sigma < 1 else cv2.INTER_CUBIC
            )
            grain += gain * fine
        skin = np.asarray(p.skin, np.float32) * (1 + grain)[..., None]
        skin *= (1 + (p.forehead_tone - 1) * np.clip((-v - 0.4) * 4, 0, 1))[..., None]
        for side in (-1, 1):
            paint(skin, 0.35 * p.blush * bump(u, v, side * 0.55, 0.22, 0.22, 0.18), np.array(p.skin) * [1.05, 0.7, 0.7])
        for _ in range(rng.integers(1, 6)):
            spot = bump(u, v, rng.uniform(-0.7, 0.7), rng.uniform(-0.6, 0.8), *(2 * [rng.uniform(0.015, 0.035)]))
            paint(skin, rng.uniform(0.3, 0.8) * spot, np.array(p.skin) * 0.45)
        inside = np.clip((1 - self.r2) * 20, 0, 1)
        out += inside[..., None] * (skin - out)
        for side in (-1, 1):
            arch = p.eye_v - p.brow_v - 0.06 * np.cos((u - side * p.eye_u) * 4) + 0.06
            brow = 0.9 * np.exp(-(((v - arch) / p.brow_thickness) ** 4) - ((u - side * p.eye_u) / 0.23) ** 6)
            paint(out, brow, p.hair)
            nostril = bump(u, v, side * 0.09 * p.nose_width, 0.285 * p.nose_length, 0.05, 0.02)
            paint(out, 0.7 * nostril, [0.15, 0.07, 0.06])
        round_head = (u / 1.18) ** 2 + ((v + 0.12) / 1.15) ** 2
        crown = np.clip((1 - round_head) * 10, 0, 1)
        fringe = crown * np.clip((-v - 0.52 + p.fringe + 0.25 * np.abs(u)) * 8, 0, 1)
        strands = 1 + 0.25 * np.sin(u * 60 + 6 * grain) * np.clip(grain * 8 + 0.5, 0, 1)
        hair = np.asarray(p.hair, np.float32) * strands[..., None]
        out += fringe[..., None] * (hair - out)
        alpha = np.maximum(inside, crown * np.clip((0.35 - v) * 6, 0, 1))
        return out.astype(np.float32), alpha.astype(np.float32)

    def texture(self, expression: Expression, light: Light, matrix: Array) -> Array:
        """(H, W, 4): the lit canvas with its alpha."""
        albedo = self.albedo.copy()
        self._eyes(albedo, expression)
        self._mouth(albedo, expression)
        towards = matrix.T @ light.direction
        shade = light.ambient + (1.1 - light.ambient) * np.clip(self.normal @ towards, 0, None)
        shade = np.where(self.r2 < 1, shade, light.ambient + 0.35).astype(np.float32)
        lit = np.empty((*self.alpha.shape, 4), np.float32)
        np.multiply(albedo, shade[..., None] * light.colour, out=lit[..., :3])
        lit[..., 3] = self.alpha
        return lit

    def _window(self, cu: float, cv: float, du: float, dv: float) -> tuple[slice, slice]:
        x0, x1 = ((c + REACH_X) * self.scale for c in (cu - du, cu + du))
        y0, y1 = ((c * ASPECT + REACH_Y) * self.scale for c in (cv - dv, cv + dv))
        return slice(max(0, int(y0)), int(y1) + 1), slice(max(0, int(x0)), int(x1) + 1)

    def _eyes(self, albedo: Array, expression: Expression) -> None:
        p = self.identity
        height = max(p.eye_height * (1 - expression.blink), 0.004)
        for side in (-1, 1):
            cu, cv = side * p.eye_u, p.eye_v
            window = self._window(cu, cv, 0.32, 0.2)
            canvas, u, v = albedo[window], self.u[window] - cu, self.v[window] - cv
            lid = (u / p.eye_width) ** 2
            opening = np.clip((1 - lid - (v / height) ** 2) * min(4.0, 60 * height), 0, 1)
            gu, gv = 0.05 * expression.gaze[0], 0.025 * expression.gaze[1]
            r = np.hypot(u - gu, (v - gv) * ASPECT)
            white = np.broadcast_to(np.array([0.9, 0.89, 0.87], np.float32), canvas.shape).copy()
            paint(white, np.clip((0.083 - r) * 60, 0, 1), p.iris)
            paint(white, np.clip((0.038 - r) * 60, 0, 1), [0.02, 0.02, 0.02])
            paint(white, np.clip((0.016 - np.hypot(u - gu + 0.03, v - gv + 0.03)) * 90, 0, 1), [1, 1, 1])
            canvas += opening[..., None] * (white - canvas)
            lash = np.exp(-(((v + height * np.sqrt(np.clip(1 - lid, 0, 1))) / 0.016) ** 2)) * (lid < 1.15)
            paint(canvas, 0.8 * lash, [0.12, 0.08, 0.06])

    def _mouth(self, albedo: Array, expression: Expression) -> None:
        p = self.identity
        window = self._window(0, p.mouth_v, 0.5, 0.3)
        canvas, u = albedo[window], self.u[window]
        width = p.mouth_width * (1 + 0.15 * expression.smile - 0.12 * expression.mouth)
        v = self.v[window] - p.mouth_v + 0.05 * expression.smile * (u / width) ** 2
        gap, taper = 0.10 * expression.mouth, np.sqrt(np.clip(1 - (u / width) ** 2, 0, 1))
        upper, lower = (0.07 * p.lip + gap) * taper, (0.09 * p.lip + gap) * taper
        paint(
            canvas, 0.85 * np.clip((v + upper) * 40, 0, 1) * np.clip((lower - v) * 40, 0, 1) * (taper > 0), p.lip_colour
        )
        inner = np.clip((gap * taper - np.abs(v)) * 50, 0, 1)
        paint(canvas, inner, [0.14, 0.05, 0.05])
        paint(canvas, inner * np.clip((-v - 0.2 * gap) * 40, 0, 1), [0.85, 0.83, 0.78])  # teeth
        paint(
            canvas,
            0.8 * np.exp(-((v / 0.014) ** 2)) * taper * (1 - np.clip(expression.mouth * 4, 0, 1)),
            [0.25, 0.1, 0.1],
        )

    def depth_at(self, points: Array) -> Array:
        """Parallax depth under canonical (N, 2) points, bilinear."""
        x, y = ((points + np.array([REACH_X, REACH_Y], np.float32)) * self.scale - 0.5).T.astype(np.float32)
        return cv2.remap(self.depth, x[None], y[None], cv2.INTER_LINEAR)[0]


def landmarks(identity: Identity, expression: Expression) -> Array:
    """The 68 points in canonical half widths, (68, 2): jaw, brows, nose, eyes, outer lips, inner lips."""
    p = identity
    angle = np.deg2rad(-12 + np.arange(17) * 204 / 16)
    jaw = np.stack([-np.cos(angle) * half_width(p, np.sin(angle)), np.sin(angle)], 1)
    along = np.linspace(-0.22, 0.22, 5)
    brow = np.stack([along, p.eye_v - p.brow_v - 0.06 * np.cos(along * 4) + 0.06], 1)
    bridge = np.stack([np.zeros(4), np.linspace(p.eye_v + 0.03, 0.19 * p.nose_length, 4)], 1)
    base_u = np.array([-0.15, -0.08, 0, 0.08, 0.15]) * p.nose_width
    base = np.stack([base_u, p.nose_length * np.array([0.27, 0.295, 0.31, 0.295, 0.27])], 1)
    height = p.eye_height * (1 - expression.blink)
    lid = height * np.sqrt(1 - 0.35**2)
    w = p.eye_width
    eye = np.array([[-w, 0], [-0.35 * w, -lid], [0.35 * w, -lid], [w, 0], [0.35 * w, lid], [-0.35 * w, lid]])
    eye[:, 1] += p.eye_v
    width = p.mouth_width * (1 + 0.15 * expression.smile - 0.12 * expression.mouth)
    gap = 0.10 * expression.mouth
    across = np.array([-1, -0.66, -0.3, 0, 0.3, 0.66, 1])
    taper = np.sqrt(1 - across**2)
    lift = -0.05 * expression.smile * across**2
    outer_top = np.stack([across * width, lift - (0.07 * p.lip + gap) * taper], 1)
    outer_low = np.stack([across * width, lift + (0.09 * p.lip + gap) * taper], 1)[5:0:-1]
    across = np.array([-0.85, -0.4, 0, 0.4, 0.85])
    taper, lift = np.sqrt(1 - across**2), -0.05 * expression.smile * across**2
    inner_top = np.stack([across * width, lift - gap * taper], 1)
    inner_low = np.stack([across * width, lift + gap * taper], 1)[3:0:-1]
    mouth = np.concatenate([outer_top, outer_low, inner_top, inner_low]) + np.array([0, p.mouth_v])
    left, right = np.array([-p.eye_u, 0]), np.array([p.eye_u, 0])
    points = np.concatenate([jaw, brow + left, brow + right, bridge, base, eye + left, eye + right, mouth])
    return (points * [1, ASPECT]).astype(np.float32)


def project(points: Array, depth: Array, pose: Pose) -> Array:
    """Canonical (N, 2) points to picture coordinates, pixel centres at whole numbers."""
    m = pose.matrix()
    flat = points @ m[:2, :2].T + (depth - PIVOT)[:, None] * m[:2, 2]
    return (flat * pose.radius + [pose.x, pose.y]).astype(np.float32)


def unproject(head: Head, pose: Pose, box: tuple[int, int, int, int]) -> tuple[Array, Array]:
    """For each pixel of a picture box (x0, y0, x1, y1), the canvas pixel seen there."""
    m = pose.matrix()
    inverse = np.linalg.inv(m[:2, :2]).astype(np.float32)
    x0, y0, x1, y1 = box
    px = ((np.arange(x0, x1, dtype=np.float32) - pose.x) / pose.radius)[None, :]
    py = ((np.arange(y0, y1, dtype=np.float32) - pose.y) / pose.radius)[:, None]
    fx, fy = (float(row[0]) * px + float(row[1]) * py for row in inverse)
    sx, sy = map(float, inverse @ m[:2, 2])
    z = np.zeros_like(fx)
    s, cx, cy = head.scale, REACH_X * head.scale - 0.5, REACH_Y * head.scale - 0.5
    for _ in range(4):  # fixed point: the depth is smooth enough to contract for the poses drawn here
        z = (
            cv2.remap(
                head.depth,
                (fx - sx * z) * s + cx,
                (fy - sy * z) * s + cy,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            - PIVOT
        )
    return (fx - sx * z) * s + cx, (fy - sy * z) * s + cy
