"""The forgeries of the studio, each with the region it alters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.studio.head import Array, landmarks, project
from datamodules.studio.identity import Identity, Part, exchange
from datamodules.studio.scene import Set, Shot, face_points, film_head, head_box, head_for, over

JAW, BROWS, NOSE, EYES, LIPS = range(17), range(17, 27), range(27, 36), range(36, 48), range(48, 60)
ALTERED = 0.2  # share of new pixel from which a pixel counts as forged


@dataclass(frozen=True, kw_only=True)
class Take:
    """A filmed target and what a forger has of the source."""

    target: Identity
    source: Identity
    shot: Shot
    frames: list[Array]  # clean, (H, W, 3)
    points: list[Array]  # (68, 2)
    source_shot: Shot
    difficulty: float  # 0 leaves strong traces, 1 faint ones
    seed: list[int]

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


@dataclass(frozen=True, kw_only=True)
class Forged:
    picture: Array  # clean, (H, W, 3)
    alpha: Array  # (H, W), the share of new pixel
    points: Array  # (68, 2)


Forgery = Callable[[Take], Iterator[Forged]]


def easy(take: Take, strong: float, faint: float) -> float:
    return strong + (faint - strong) * take.difficulty


def region(shape: tuple[int, ...], groups: list[Array], grow: float, feather: float) -> Array:
    """The convex hulls of groups of points, each grown about its centre, with a soft edge inside it."""
    mask = np.zeros(shape[:2], np.float32)
    for points in groups:
        centre = points.mean(0)
        hull = cv2.convexHull(((centre + grow * (points - centre)) * 16).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1.0, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(mask, (0, 0), max(feather, 0.3))
    return np.clip(2 * soft - 1, 0, 1)


def blend(picture: Array, new: Array, alpha: Array) -> Array:
    return picture + alpha[..., None] * (new - picture)


def on_picture(picture: Array, layer: Array, shot: Shot, i: int) -> Array:
    return over(picture.copy(), layer, head_box(shot, i))


def moved(alpha: Array, old: Array, new: Array) -> Array:
    """Landmarks follow the new pixels where these cover them."""
    x, y = np.clip(old.round().astype(int), 0, np.array(alpha.shape)[::-1] - 1).T
    return np.where(alpha[y, x, None] > 0.5, new, old)


def swap(take: Take) -> Iterator[Forged]:
    """The whole face of the source, at lower resolution, off in colour, behind a seam."""
    rng, shot = take.rng(), take.shot
    head = head_for(take.source, shot, easy(take, 0.45, 0.75))
    cast = (1 + rng.choice([-1, 1], 3) * rng.uniform(0.7, 1.3, 3) * easy(take, 0.13, 0.03)).astype(np.float32)
    for i, (frame, points) in enumerate(zip(take.frames, take.points, strict=True)):
        alpha = region(frame.shape, [points], 0.93, easy(take, 0.035, 0.09) * shot.poses[i].radius)
        layer = film_head(head, shot, i)
        if i == 0:  # the forger matches the mean colour once, and not quite
            x0, y0, x1, y1 = head_box(shot, i)
            inside = alpha[y0:y1, x0:x1] > 0.5
            cast *= frame[y0:y1, x0:x1][inside].mean(0) / layer[inside, :3].mean(0)
        layer[..., :3] *= cast
        theirs = face_points(take.source, head, shot, i)
        yield Forged(
            picture=blend(frame, on_picture(frame, layer, shot, i), alpha),
            alpha=alpha,
            points=moved(alpha, points, theirs),
        )


def reenactment(take: Take) -> Iterator[Forged]:
    """Mouth and eyes of the target with the expression of the source, re-rendered at lower resolution."""
    shot = take.shot
    head = head_for(take.target, shot, easy(take, 0.3, 0.65))
    for i, (frame, points) in enumerate(zip(take.frames, take.points, strict=True)):
        expression = take.source_shot.expressions[i % len(take.source_shot)]
        canonical = landmarks(take.target, expression)
        theirs = project(canonical, head.depth_at(canonical), shot.poses[i])
        both = np.concatenate([points, theirs])
        groups = [
            both[[*LIPS, *(68 + np.array(LIPS))]],
            both[[*range(36, 42), *range(104, 110)]],
            both[[*range(42, 48), *range(110, 116)]],
        ]
        alpha = region(frame.shape, groups, 1.45, 0.05 * shot.poses[i].radius)
        layer = film_head(head, shot, i, expression)
        inner = np.r_[36:68]
        after = points.copy()
        after[inner] = theirs[inner]
        yield Forged(picture=blend(frame, on_picture(frame, layer, shot, i), alpha), alpha=alpha, points=after)


def neural_texture(take: Take) -> Iterator[Forged]:
    """The target's face through a coarse decoder: no high frequencies, and the grid of its up-sampling."""
    gain = easy(take, 0.035, 0.008)
    for frame, points, pose in zip(take.frames, take.points, take.shot.poses, strict=True):
        h, w = frame.shape[:2]
        small = cv2.resize(frame, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
        x, y = np.arange(w) - round(pose.x), np.arange(h) - round(pose.y)
        grid = ((x[None] // 2 + y[:, None] // 2) % 2 * 2 - 1).astype(np.float32)
        alpha = region(frame.shape, [points], 0.9, 0.06 * pose.radius)
        yield Forged(picture=blend(frame, smooth * (1 + gain * grid[..., None]), alpha), alpha=alpha, points=points)


def edited(
    take: Take, part: Part, least: float, where: Callable[[Array, Array, float], tuple[list[Array], float]]
) -> Iterator[Forged]:
    """One part drawn as another person's, everything else as it was."""
    shot, hybrid = take.shot, exchange(take.target, take.source, part, least)
    head, place = head_for(hybrid, shot, easy(take, 0.3, 0.9)), Set(take.target, shot)
    for i, (frame, points) in enumerate(zip(take.frames, take.points, strict=True)):
        theirs = face_points(hybrid, head, shot, i)
        groups, grow = where(points, theirs, shot.poses[i].radius)
        alpha = region(frame.shape, groups, grow, 0.05 * shot.poses[i].radius)
        if part in OUTSIDE:
            inside = region(frame.shape, part_groups(points), 1.25, 1)
            alpha *= 1 - np.clip(2 * inside, 0, 1)
        behind = place.film(i) if part == "jaw" else frame.copy()  # a narrower jaw uncovers the background
        new = over(behind, film_head(head, shot, i), head_box(shot, i))
        yield Forged(picture=blend(frame, new, alpha), alpha=alpha, points=moved(alpha, points, theirs))


def part_groups(points: Array) -> list[Array]:
    return [points[36:42], points[42:48], points[[*NOSE]], points[[*LIPS]]]


def around(indices: list[list[int]], grow: float) -> Callable[[Array, Array, float], tuple[list[Array], float]]:
    return lambda old, new, radius: ([np.concatenate([old[group], new[group]]) for group in indices], grow)


def cheeks(old: Array, new: Array, radius: float) -> tuple[list[Array], float]:
    return [old[[1, 3, 5, 31, 40]], old[[15, 13, 11, 35, 47]]], 0.9


def jaw_band(old: Array, new: Array, radius: float) -> tuple[list[Array], float]:
    outward = old - old[[*NOSE]].mean(0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    both = [
        np.concatenate([p[i : i + 2] + k * radius * outward[i : i + 2] for p in (old, new) for k in (-0.14, 0.1)])
        for i in range(3, 13)
        for p in [old]
    ]
    return both, 1.15


def above_brows(old: Array, new: Array, radius: float) -> tuple[list[Array], float]:
    brows = old[[*BROWS]]
    up = old[27] - old[8]
    up /= np.linalg.norm(up)
    return [np.concatenate([brows + 0.1 * radius * up, brows[1:-1] + 0.5 * radius * up])], 1.0


WHERE: dict[Part, Callable[[Array, Array, float], tuple[list[Array], float]]] = {
    "eyes": around([[*range(36, 42)], [*range(42, 48)]], 1.6),
    "nose": around([[*NOSE]], 1.3),
    "lips": around([[*LIPS]], 1.3),
    "cheek": cheeks,
    "jaw": jaw_band,
    "forehead": above_brows,
}
INSIDE: list[Part] = ["eyes", "nose", "lips", "cheek"]
OUTSIDE: list[Part] = ["jaw", "forehead"]


def edited_part(take: Take, parts: list[Part]) -> Part:
    """The part that a local edit of this take alters."""
    return parts[sum(take.seed) % len(parts)]


def local_edit(take: Take) -> Iterator[Forged]:
    part = edited_part(take, INSIDE)
    return edited(take, part, easy(take, 0.35, 0.12), WHERE[part])


def outside_edit(take: Take) -> Iterator[Forged]:
    part = edited_part(take, OUTSIDE)
    return edited(take, part, easy(take, 0.2, 0.07), WHERE[part])


def displaced(take: Take, path: Array) -> Iterator[Forged]:
    """The target's own face, its parts moved by a path of (T, K, 2) pixels."""
    for frame, points, pose, step in zip(take.frames, take.points, take.shot.poses, path, strict=True):
        anchors = np.stack(
            [
                points[list(g)].mean(0)
                for g in ([17, 21], [22, 26], range(36, 42), range(42, 48), NOSE, LIPS, [4, 48], [12, 54])
            ]
        )

        def field(at: Array, anchors: Array = anchors, step: Array = step, reach: float = 0.3 * pose.radius) -> Array:
            weight = np.exp(-((at[..., None, :] - anchors) ** 2).sum(-1) / (2 * reach**2)) + 1e-3
            return ((weight / weight.sum(-1, keepdims=True)) @ step).astype(np.float32)

        h, w = frame.shape[:2]
        coarse = np.stack(np.meshgrid(np.arange(0, w, 4), np.arange(0, h, 4)), -1).astype(np.float32) + 1.5
        shift = cv2.resize(field(coarse), (w, h), interpolation=cv2.INTER_LINEAR)
        x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        new = cv2.remap(frame, x - shift[..., 0], y - shift[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        alpha = region(frame.shape, [points], 0.93, 0.09 * pose.radius)
        yield Forged(picture=blend(frame, new, alpha), alpha=alpha, points=moved(alpha, points, points + field(points)))


def walk(take: Take, smooth: bool) -> Array:
    """(T, 8, 2) displacements with the same spread whether they shake or glide."""
    steps = take.rng().standard_normal((len(take.shot) + 64, 8, 2))
    if smooth:
        kernel = np.exp(-0.5 * (np.arange(-24, 25) / 8) ** 2)
        steps = np.apply_along_axis(np.convolve, 0, steps, kernel, "same")
    steps = steps[32:-32] - steps[32:-32].mean(0)
    return (steps / steps.std(0) * easy(take, 2.0, 0.5)).astype(np.float32)


def temporal_jitter(take: Take) -> Iterator[Forged]:
    """Single frames are clean; from frame to frame the parts of the face shake."""
    return displaced(take, walk(take, smooth=False))


def temporal_smooth(take: Take) -> Iterator[Forged]:
    """The negative control of the jitter: the same blend, gliding."""
    return displaced(take, walk(take, smooth=True))


FORGERIES: dict[str, Forgery] = {
    "Swap": swap,
    "Reenactment": reenactment,
    "NeuralTexture": neural_texture,
    "LocalEdit": local_edit,
    "OutsideEdit": outside_edit,
    "TemporalJitter": temporal_jitter,
    "TemporalSmooth": temporal_smooth,
}
