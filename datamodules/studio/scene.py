"""A filmed person: how the head moves, where the light is, what is behind, and what the camera adds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.studio.head import Array, Expression, Head, Light, Pose, landmarks, project, unproject
from datamodules.studio.identity import Identity

SHARPNESS = 1.25  # canvas pixels per picture pixel


def wander(
    rng: np.random.Generator, seconds: Array, spread: float, slowest: float = 0.15, fastest: float = 0.7
) -> Array:
    """A smooth random walk around 0 with about the given standard deviation."""
    hertz = rng.uniform(slowest, fastest, 4)
    phase = rng.uniform(0, 2 * np.pi, 4)
    return spread / np.sqrt(2) * np.sin(2 * np.pi * hertz * seconds[:, None] + phase).sum(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """What one video shows, frame by frame; who is in it is left open."""

    width: int
    height: int
    fps: int
    poses: list[Pose]
    expressions: list[Expression]
    lights: list[Light]
    seed: int  # of background, clothes and camera

    def __len__(self) -> int:
        return len(self.poses)


def direct(
    rng: np.random.Generator,
    width: int,
    height: int,
    frames: int,
    radius: float | None = None,
    centre: tuple[float, float] | None = None,
) -> Shot:
    """A shot with poses that a frontal detector can follow."""
    fps = int(rng.choice([25, 30]))
    t = np.arange(frames) / fps
    radius = radius or rng.uniform(0.25, 0.285) * min(height, width)
    cx, cy = centre or (width * rng.uniform(0.46, 0.54), height * rng.uniform(0.5, 0.53))
    yaw, pitch, roll = rng.uniform(-0.06, 0.06) + wander(rng, t, 0.05), wander(rng, t, 0.03), wander(rng, t, 0.025)
    x, y = cx + wander(rng, t, 0.07 * radius), cy + wander(rng, t, 0.05 * radius)
    zoom = radius * (1 + wander(rng, t, 0.015))
    moves = {"yaw": yaw, "pitch": pitch, "roll": roll, "x": x, "y": y, "radius": zoom}
    blink = np.zeros(frames)
    for start in np.arange(rng.integers(4, max(5, min(frames - 8, 40))), frames, int(rng.uniform(1.6, 3) * fps)):
        blink[start : start + 7] = np.array([0.35, 0.8, 1, 1, 0.8, 0.5, 0.2])[: frames - start]
    speaking = np.clip(wander(rng, t, 1.0, 0.3, 0.8) + 0.6, 0, 1)
    mouth = np.clip(np.abs(wander(rng, t, 0.45, 1.2, 3.2)) * speaking, 0, 1)
    smile, gaze = np.clip(wander(rng, t, 0.5), -0.4, 1), np.stack([wander(rng, t, 0.5), wander(rng, t, 0.3)], 1)
    lamp = rng.uniform(-0.45, 0.45) + wander(rng, t, 0.05)
    height_of_lamp, ambient = rng.uniform(-0.65, -0.25), rng.uniform(0.35, 0.5)
    colour = np.clip(rng.normal(1, 0.04, 3), 0.9, 1.08).astype(np.float32)
    directions = np.stack([lamp, np.full(frames, height_of_lamp), np.ones(frames)], 1)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return Shot(
        width=width,
        height=height,
        fps=fps,
        poses=[
            Pose(**dict(zip(moves, map(float, values), strict=True))) for values in zip(*moves.values(), strict=True)
        ],
        expressions=[
            Expression(
                blink=float(blink[i]),
                gaze=(float(gaze[i, 0]), float(gaze[i, 1])),
                mouth=float(mouth[i]),
                smile=float(smile[i]),
            )
            for i in range(frames)
        ],
        lights=[Light(direction=d.astype(np.float32), colour=colour, ambient=ambient) for d in directions],
        seed=int(rng.integers(2**31)),
    )


def head_for(identity: Identity, shot: Shot, resolution: float = 1.0) -> Head:
    return Head(identity, SHARPNESS * resolution * max(pose.radius for pose in shot.poses))


def face_points(identity: Identity, head: Head, shot: Shot, i: int) -> Array:
    """The 68 exact landmarks in frame i, (68, 2)."""
    canonical = landmarks(identity, shot.expressions[i])
    return project(canonical, head.depth_at(canonical), shot.poses[i])


def head_box(shot: Shot, i: int) -> tuple[int, int, int, int]:
    pose = shot.poses[i]
    dx, dy = 1.55 * pose.radius, 1.85 * pose.radius
    return (
        max(0, int(pose.x - dx)),
        max(0, int(pose.y - dy)),
        min(shot.width, int(pose.x + dx) + 1),
        min(shot.height, int(pose.y + dy) + 1),
    )


def film_head(head: Head, shot: Shot, i: int, expression: Expression | None = None) -> Array:
    """The head alone over its box of the picture, (h, w, 4) with alpha."""
    texture = head.texture(expression or shot.expressions[i], shot.lights[i], shot.poses[i].matrix())
    x, y = unproject(head, shot.poses[i], head_box(shot, i))
    return cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def muted(rng: np.random.Generator) -> Array:
    """A colour of a room rather than of a paint box."""
    return np.clip(rng.uniform(0.1, 0.85) + rng.normal(0, 0.07, 3), 0.03, 0.97).astype(np.float32)


class Set:
    """The background that drifts by, and the shoulders."""

    def __init__(self, identity: Identity, shot: Shot) -> None:
        rng = np.random.default_rng([shot.seed, 1])
        self.shot, self.identity = shot, identity
        h, w = shot.height + 24, shot.width + 24
        top, bottom = muted(rng), muted(rng)
        ramp = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
        wall = ((1 - ramp) * top + ramp * bottom) * np.ones((h, w, 1))
        for _ in range(rng.integers(4, 10)):  # furniture, out of focus
            x0, y0 = rng.uniform(-0.1, 0.9) * w, rng.uniform(-0.1, 0.9) * h
            x1, y1 = x0 + rng.uniform(0.05, 0.35) * w, y0 + rng.uniform(0.1, 0.6) * h
            wall[int(max(0, y0)) : int(y1), int(max(0, x0)) : int(x1)] = muted(rng)
        wall = cv2.GaussianBlur(wall.astype(np.float32), (0, 0), rng.uniform(1.2, 3.5))
        self.wall = wall * (1 + 0.03 * rng.standard_normal((h, w, 1), dtype=np.float32))
        t = np.arange(len(shot)) / shot.fps
        self.drift = np.stack([12 + np.clip(wander(rng, t, 3), -11, 11), 12 + np.clip(wander(rng, t, 2), -11, 11)], 1)
        self.clothes = muted(rng)

    def film(self, i: int) -> Array:
        shot, pose = self.shot, self.shot.poses[i]
        dx, dy = self.drift[i]
        view = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        out = cv2.warpAffine(self.wall, view, (shot.width, shot.height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        x = (np.arange(shot.width, dtype=np.float32) - pose.x)[None] / pose.radius
        y = (np.arange(shot.height, dtype=np.float32) - pose.y)[:, None] / pose.radius
        neck = np.clip((0.55 - np.abs(x)) * 12, 0, 1) * np.clip((y - 0.7) * 6, 0, 1)
        out += neck[..., None] * (np.asarray(self.identity.skin, np.float32) * 0.55 - out)
        shoulders = np.clip((y - 1.45 - 0.12 * x**2) * 10, 0, 1)
        out += shoulders[..., None] * (self.clothes * (1 - 0.08 * np.cos(x * 9))[..., None] - out)
        return out


class Camera:
    """Exposure that rolls with the mains, and sensor noise. The same for a real video and its forgeries."""

    def __init__(self, shot: Shot) -> None:
        rng = np.random.default_rng([shot.seed, 2])
        self.shot = shot
        self.level = rng.uniform(0.003, 0.012)
        self.noise = rng.standard_normal((shot.height + 32, shot.width + 32, 3), dtype=np.float32) * self.level
        self.offset = rng.integers(0, 32, (len(shot), 2))
        self.flip = rng.integers(0, 2, (len(shot), 2)) * 2 - 1
        self.gain = 1 + wander(rng, np.arange(len(shot)) / shot.fps, 0.015)
        self.flicker, self.rows, self.beat = rng.uniform(0.002, 0.01), rng.uniform(0.8, 2.5), rng.uniform(0.5, 3)

    def noise_at(self, i: int) -> Array:
        y, x = self.offset[i]
        return self.noise[y : y + self.shot.height, x : x + self.shot.width][:: self.flip[i, 0], :: self.flip[i, 1]]

    def exposure_at(self, i: int) -> Array:
        row = np.arange(self.shot.height, dtype=np.float32)[:, None, None] / self.shot.height
        return (
            self.gain[i] * (1 + self.flicker * np.sin(2 * np.pi * (self.rows * row + self.beat * i / self.shot.fps)))
        ).astype(np.float32)

    def shoot(self, clean: Array, i: int, keep_noise: Array | float = 1.0) -> NDArray[np.uint8]:
        """
        Args:
            clean: (H, W, 3) in [0, 1].
            i: Frame.
            keep_noise: (H, W, 1), where below 1 the picture was made after the camera.
        """
        seen = clean * self.exposure_at(i)
        seen += self.noise_at(i) * keep_noise
        return cv2.convertScaleAbs(np.maximum(seen, 0, out=seen), alpha=255)  # rounds and saturates in one pass


def over(picture: Array, layer: Array, box: tuple[int, int, int, int]) -> Array:
    """Puts an (h, w, 4) layer over its box of a picture, in place."""
    x0, y0, x1, y1 = box
    part = picture[y0:y1, x0:x1]
    part += layer[..., 3:] * (layer[..., :3] - part)
    return picture


def film(identity: Identity, shot: Shot) -> Iterator[tuple[Array, Array]]:
    """The clean (H, W, 3) frames of a real video, each with its 68 exact landmarks."""
    head, place = head_for(identity, shot), Set(identity, shot)
    for i in range(len(shot)):
        yield over(place.film(i), film_head(head, shot, i), head_box(shot, i)), face_points(identity, head, shot, i)
