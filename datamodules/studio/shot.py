"""How somebody moves, looks and speaks in one shot, and where the light is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from datamodules.studio.face import Array, Expression
from datamodules.studio.head import Light, Pose
from datamodules.studio.scenery.paint import wander

TURN = 0.3  # radians; no head turns further, since a photograph from the front shows no more of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """What one video shows, frame by frame; who is in it is left open."""

    width: int
    height: int
    fps: int
    poses: list[Pose]
    expressions: list[Expression]
    lights: list[Light]
    shake: Array  # (T, 2), pixels by which a hand that holds the camera moves the image
    clothes: Array  # (3,), what a white shirt is dyed with
    seed: int  # of background and camera

    def __len__(self) -> int:
        return len(self.poses)

    def camera_shift(self, i: int) -> tuple[float, float]:
        """Pixels by which the camera has moved, against which the image moves."""
        return float(-self.shake[i, 0]), float(-self.shake[i, 1])


def blinks(rng: np.random.Generator, frames: int, fps: int, glances: list[int]) -> Array:
    """Lids close faster than they open, every few seconds and often where the eyes jump."""
    closing = np.array([0.3, 0.85, 1.0, 0.9, 0.6, 0.3, 0.1])
    out = np.zeros(frames)
    starts = np.arange(rng.integers(4, max(5, min(frames - 8, 40))), frames, int(rng.uniform(1.6, 3.5) * fps)).tolist()
    starts += [i for i in glances if rng.random() < 0.3]
    for start in starts:
        lids = closing[: frames - start]
        out[start : start + len(lids)] = np.maximum(out[start : start + len(lids)], lids)
    return out


def glance(rng: np.random.Generator, frames: int, fps: int) -> tuple[Array, list[int]]:
    """(T, 2) directions of the eyes, which rest and jump; and when they jump."""
    out, jumps, i = np.zeros((frames, 2)), [], 0
    while i < frames:
        # mostly at whom one talks to, at times aside
        aside = rng.random() < 0.35
        out[i:] = rng.normal(0, 0.15, 2) if not aside else rng.uniform([-1, -0.7], [1, 0.7])
        jumps.append(i)
        i += int(rng.uniform(0.3, 1.6) * fps)
    out[1:] = 0.3 * out[:-1] + 0.7 * out[1:]  # a jump takes two frames
    return out, jumps[1:]


def speak(rng: np.random.Generator, t: Array) -> Array:
    """How far the mouth is open: syllables with pauses between."""
    talks = np.clip(wander(rng, t, 1.0, 0.2, 0.6) + 0.5, 0, 1)
    return np.clip(np.abs(wander(rng, t, 0.5, 1.2, 3.2)) * talks - 0.04, 0, 1)


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
    radius = radius or rng.uniform(0.25, 0.29) * min(height, width)
    cx, cy = centre or (width * rng.uniform(0.45, 0.55), height * rng.uniform(0.49, 0.53))
    lively = rng.uniform(0.4, 1.6)
    yaw = np.clip(rng.normal(0, 0.07) + wander(rng, t, 0.07 * lively), -TURN, TURN)
    pitch = np.clip(rng.normal(0, 0.03) + wander(rng, t, 0.035 * lively), -0.15, 0.15)
    roll = np.clip(rng.normal(0, 0.03) + wander(rng, t, 0.025 * lively), -0.2, 0.2)
    shake = rng.choice([0.0, 0.006, 0.02]) * radius
    shaken = np.stack([wander(rng, t, shake, 0.4, 2.5), wander(rng, t, shake, 0.4, 2.5)], 1)
    body = np.stack([cx + wander(rng, t, 0.05 * radius), cy + wander(rng, t, 0.02 * radius)], 1) + shaken
    # a head that turns leans a little to where it looks
    head = body + np.stack([0.12 * radius * yaw + wander(rng, t, 0.025 * radius), wander(rng, t, 0.02 * radius)], 1)
    zoom = radius * (1 + wander(rng, t, 0.012))
    gaze, jumps = glance(rng, frames, fps)
    gaze[:, 0] -= 2.0 * (yaw - yaw.mean())  # eyes hold on while the head moves
    blink, mouth = blinks(rng, frames, fps, jumps), speak(rng, t)
    smile = np.clip(rng.uniform(-0.2, 0.5) + wander(rng, t, 0.4), 0, 1)
    brows = np.clip(wander(rng, t, 0.45, 0.2, 0.9), -0.5, 1)
    lamp = rng.uniform(-0.6, 0.6) + wander(rng, t, rng.choice([0.02, 0.15]), 0.05, 0.3)
    ambient, above = rng.uniform(0.5, 0.8), rng.uniform(-0.7, -0.1)
    directions = np.stack([lamp, np.full(frames, above), np.ones(frames)], 1)
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    warm, green = np.clip(rng.normal(0, 0.05), -0.1, 0.1), np.clip(rng.normal(0, 0.012), -0.025, 0.025)
    colour = (rng.uniform(0.82, 1.08) * np.array([1 + warm, 1 + green, 1 - warm])).astype(np.float32)
    shade = rng.uniform(0.12, 1.0) * np.clip(rng.normal(1, 0.25, 3), 0.4, 1.3)
    return Shot(
        width=width,
        height=height,
        fps=fps,
        poses=[
            Pose(
                yaw=float(yaw[i]),
                pitch=float(pitch[i]),
                roll=float(roll[i]),
                x=float(head[i, 0]),
                y=float(head[i, 1]),
                radius=float(zoom[i]),
                body=(float(body[i, 0]), float(body[i, 1])),
            )
            for i in range(frames)
        ],
        expressions=[
            Expression(
                blink=float(blink[i]),
                gaze=(float(gaze[i, 0]), float(gaze[i, 1])),
                mouth=float(mouth[i]),
                smile=float(smile[i]),
                brows=float(brows[i]),
            )
            for i in range(frames)
        ],
        lights=[Light(direction=d, colour=colour, ambient=float(ambient)) for d in directions],
        shake=shaken,
        clothes=np.clip(shade, 0.05, 1.0).astype(np.float32),
        seed=int(rng.integers(2**31)),
    )


def thin(shot: Shot, every: int) -> Shot:
    """Every n-th frame of a shot alone: faces unlike each other."""
    lists = {name: getattr(shot, name)[::every] for name in ("poses", "expressions", "lights", "shake")}
    return replace(shot, **lists)
