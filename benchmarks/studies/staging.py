"""Scenes of several people, hidden faces and cuts, with the truth: who is where in each frame, and how much of them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.faces import STUDIO
from datamodules.faces.detection.base import SAME, overlap
from datamodules.faces.tracking.track import Track
from datamodules.media.encode import write_h264
from datamodules.media.video import PyAV
from datamodules.studio.head import look, render
from datamodules.studio.people import Person
from datamodules.studio.portrait import Portrait, make_portrait
from datamodules.studio.scene import composite, dye, head_for, open_camera
from datamodules.studio.scenery.background import Background
from datamodules.studio.shot import Shot, direct

Image = NDArray[np.uint8]
Path2D = NDArray[np.float64]  # (T, 2), by which somebody is moved
Cover = Callable[[int], NDArray[np.float32]]  # (H, W, 4) that is before everything in a frame
FPS = 25
WIDTH, HEIGHT = 384, 216
SEEN = 0.9  # share of a face's points from which it is in sight
GONE = 0.3  # below it, nobody can tell that there is a face


@dataclass(frozen=True, kw_only=True, eq=False)
class Staged:
    frames: list[Image]
    points: dict[str, NDArray[np.float32]]  # (T, 68, 2) of each person; nan before and after the shots with them
    share: dict[str, NDArray[np.float64]]  # (T,) of the points that nothing covers
    cuts: list[int]  # first frames of all shots but the first

    def __add__(self, other: Staged) -> Staged:
        """Another shot after this one."""
        t, more = len(self.frames), len(other.frames)

        def join(mine: dict[str, NDArray], theirs: dict[str, NDArray], fill: float) -> dict[str, NDArray]:
            out = {}
            for name in {**mine, **theirs}:
                shape = (mine[name] if name in mine else theirs[name]).shape[1:]
                here = mine.get(name, np.full((t, *shape), fill))
                out[name] = np.concatenate([here, theirs.get(name, np.full((more, *shape), fill))])
            return out

        return Staged(
            frames=self.frames + other.frames,
            points=join(self.points, other.points, np.nan),
            share=join(self.share, other.share, 0.0),
            cuts=[*self.cuts, t, *(t + stage_cut for stage_cut in other.cuts)],
        )

    def encode(self, crf: int = 23) -> Staged:
        """As a video file gives the frames back."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "staged.mp4"
            write_h264(path, self.frames, FPS, crf)
            return replace(self, frames=[frame.numpy().copy() for _, _, frame in PyAV().stream(path)])


def act(number: int, radius: float, path: Path2D, seed: int = 0) -> tuple[str, Shot]:
    """Somebody who is where the path says, and moves and speaks a little there."""
    shot = direct(np.random.default_rng([seed, number]), WIDTH, HEIGHT, len(path), radius, (0, 0))
    poses = [
        replace(pose, x=pose.x + x, y=pose.y + y, body=(pose.body[0] + x, pose.body[1] + y))
        for pose, (x, y) in zip(shot.poses, path, strict=True)
    ]
    return str(number), replace(shot, poses=poses)


def stage(cast: Sequence[tuple[str, Shot]], set_seed: int, cover: Cover | None = None) -> Staged:
    """
    Args:
        cast: People in the shot, the farthest first.
        set_seed: Seed of background and camera.
    """
    length = len(cast[0][1])
    heads = []
    for name, shot in cast:
        head = head_for(portrait_of(int(name)), shot)
        dye(head, shot.clothes)
        heads.append(head)
    camera = open_camera(replace(cast[0][1], seed=set_seed, fps=FPS))
    background = Background(np.random.default_rng([set_seed, 1]), WIDTH, HEIGHT, length, FPS)
    frames = []
    points: dict[str, list[NDArray[np.float32]]] = {name: [] for name, _ in cast}
    share: dict[str, list[float]] = {name: [] for name, _ in cast}
    for i in range(length):
        image = background.render(i)
        covering: list[NDArray] = []
        for head, (name, shot) in zip(heads, cast, strict=True):
            view = look(head, shot.poses[i], shot.lights[i], WIDTH, HEIGHT)
            layer = render(head, head.texture(shot.expressions[i]), view, (0, 0, WIDTH, HEIGHT))
            image = composite(layer, image)
            points[name].append(head.project(head.express(shot.expressions[i]), shot.poses[i]))
            covering.append(layer[..., 3].copy())
        front = cover(i) if cover is not None else np.zeros((HEIGHT, WIDTH, 4), np.float32)
        image = composite(front, camera.focus(image))
        covering.append(front[..., 3])
        for place, (name, _) in enumerate(cast):
            share[name].append(share_in_sight(points[name][-1], covering[place + 1 :]))
        frames.append(camera.shoot(image, i))
    return Staged(
        frames=frames,
        points={name: np.stack(all_of_them) for name, all_of_them in points.items()},
        share={name: np.array(all_of_them) for name, all_of_them in share.items()},
        cuts=[],
    )


def find_stranger(number: int) -> Person:
    """Somebody of the test split, whom no predictor has seen."""
    people = STUDIO.cast()["test"]
    return people[number % len(people)]


@functools.cache
def portrait_of(number: int) -> Portrait:
    return make_portrait(find_stranger(number))


def share_in_sight(points: NDArray[np.float32], covering: list[NDArray]) -> float:
    at = np.rint(points).astype(int)
    inside = ((at >= 0) & (at < (WIDTH, HEIGHT))).all(1)
    x, y = at[inside].T
    covered = np.maximum.reduce([layer[y, x] for layer in covering])
    return float((covered < 0.5).sum() / len(points))


def stand(x: float, y: float, frames: int) -> Path2D:
    return np.tile([float(x), float(y)], (frames, 1))


def walk(places: dict[int, tuple[float, float]], frames: int) -> Path2D:
    """Straight from place to place, each at its frame."""
    at = list(places)
    return np.stack([np.interp(np.arange(frames), at, [places[i][axis] for i in at]) for axis in (0, 1)], 1)


def board(places: dict[int, float], width: int, frames: int, skin: bool = False) -> Cover:
    """Something that passes before the camera, its middle at an x of each frame: a board, or what looks like an arm."""
    rng = np.random.default_rng(7)
    middle = np.interp(np.arange(frames), list(places), list(places.values()))
    noise = cv2.resize(rng.random((HEIGHT // 6, width // 6, 1), np.float32), (width, HEIGHT))[..., None]
    colour = np.array([0.72, 0.5, 0.4] if skin else [0.3, 0.35, 0.3], np.float32) * (0.8 + 0.4 * noise)
    edge = np.clip(np.minimum(np.arange(width), np.arange(width)[::-1]) / 2, 0, 1).astype(np.float32)
    layer = np.dstack([colour, np.broadcast_to(edge, (HEIGHT, width))]).astype(np.float32)

    def cover(i: int) -> NDArray[np.float32]:
        move = np.array([[1, 0, middle[i] - width / 2], [0, 1, 0]], np.float32)
        return cv2.warpAffine(layer, move, (WIDTH, HEIGHT))

    return cover


# the scenes


@functools.cache
def stage_hidden(number: int, seconds: float, skin: bool = False) -> Staged:
    """A face that something passes before, and covers for this long."""
    stop = round(seconds * FPS)
    frames = 20 + 8 + stop + 8 + 22
    cover = board({20: -80, 28: WIDTH / 2, 28 + stop: WIDTH / 2, 36 + stop: WIDTH + 80}, 130, frames, skin)
    return stage([act(number, 36, stand(WIDTH / 2, 100, frames))], 100 + number, cover).encode()


@functools.cache
def stage_replaced(first: int, second: int) -> Staged:
    """Behind what passes, somebody else takes the place within a second."""
    swap, frames = 36, 76
    cover = board({20: -80, 28: WIDTH / 2, 44: WIDTH / 2, 52: WIDTH + 80}, 130, frames)
    cast = []
    for number, there in ((first, lambda i: i < swap), (second, lambda i: i >= swap)):
        path = np.array([[WIDTH / 2 if there(i) else 3 * WIDTH, 100] for i in range(frames)], float)
        cast.append(act(number, 36, path))
    return stage(cast, 200 + first, cover).encode()


@functools.cache
def follow_each_other(first: int, second: int) -> Staged:
    """One leaves the image at a run, another comes to the same place at once."""
    frames, middle = 70, WIDTH / 2
    out = act(first, 34, walk({0: (middle, 100), 22: (middle, 100), 32: (-120, 100)}, frames))
    come = act(second, 34, walk({0: (WIDTH + 160, 100), 28: (WIDTH + 120, 100), 40: (middle, 100)}, frames))
    return stage([out, come], 300 + first).encode()


@functools.cache
def stage_crossing(first: int, second: int, frames: int = 70) -> Staged:
    """Two people who change places, one before the other."""
    far = act(first, 29, walk({0: (110, 92), 12: (110, 92), frames - 12: (280, 92)}, frames))
    near = act(second, 35, walk({0: (275, 100), 12: (275, 100), frames - 12: (105, 100)}, frames))
    return stage([far, near], 400 + first).encode()


@functools.cache
def side_by_side(first: int, second: int, frames: int = 30) -> Staged:
    return stage(
        [act(first, 33, stand(110, 95, frames)), act(second, 33, stand(275, 95, frames))], 500 + first
    ).encode()


@functools.cache
def one_shot(number: int, frames: int, set_seed: int, seed: int = 0) -> Staged:
    return stage([act(number, 36, stand(WIDTH / 2, 100, frames), seed)], set_seed)


@functools.cache
def stage_cut(first: int, second: int, set_seeds: tuple[int, int], frames: int = 25) -> Staged:
    """Two shots with a face in the same place of the image."""
    return (one_shot(first, frames, set_seeds[0]) + one_shot(second, frames, set_seeds[1], 1)).encode()


def flash(staged: Staged, at: int, frames: int, gain: float = 4.0) -> Staged:
    """Light that whitens some frames."""
    out = list(staged.frames)
    for i in range(at, at + frames):
        out[i] = cv2.convertScaleAbs(out[i], alpha=gain, beta=40)
    return replace(staged, frames=out)


def pan(staged: Staged, speed: float, width: int = 256) -> Staged:
    """The part of the image that a camera sees that turns to and fro, at most so many pixels a frame."""
    t = np.arange(len(staged.frames))
    room = WIDTH - width
    left = room / 2 * (1 - np.cos(t * 2 * speed / room))
    frames = [
        cv2.getRectSubPix(f, (width, HEIGHT), (x + (width - 1) / 2, (HEIGHT - 1) / 2))
        for f, x in zip(staged.frames, left, strict=True)
    ]
    shift = np.stack([left, 0 * left], 1)[:, None].astype(np.float32)
    points = {name: p - shift for name, p in staged.points.items()}
    return replace(staged, frames=frames, points=points)


# what came of it


@dataclass(frozen=True, kw_only=True)
class TrackingOutcome:
    """Tracks compared to the truth."""

    coverage: float  # share of the frames with a face in sight in which it is followed
    tracks: dict[str, int]  # that each person has
    switches: int  # in which a track goes from one person to another
    strays: int  # frames of tracks that are on nobody
    names: list[list[str]]  # of those that each track is on, in order


def box_of(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brows to chin, as detectors mark a face."""
    centre, side = points[17:].mean(0), 0.9 * np.ptp(points[:17, 0])
    return np.concatenate([centre - side / 2, centre + side / 2]).astype(np.float32)


def compare(staged: Staged, tracks: Sequence[Track]) -> TrackingOutcome:
    seen, names, strays = set(), [], 0
    for track in tracks:
        mine: list[str] = []
        for one in track:
            near = {
                name: overlap(one.box, box_of(points[one.frame]))
                for name, points in staged.points.items()
                if staged.share[name][one.frame] >= GONE
            }
            name = max(near, key=lambda each: near[each], default="")
            if not name or near[name] < SAME:
                strays += 1
                continue
            seen.add((name, one.frame))
            if not mine or mine[-1] != name:
                mine.append(name)
        names.append(mine)
    wanted = {(name, i) for name, share in staged.share.items() for i in np.flatnonzero(share >= SEEN).tolist()}
    return TrackingOutcome(
        coverage=len(wanted & seen) / len(wanted),
        tracks={name: sum(name in mine for mine in names) for name in staged.points},
        switches=sum(max(0, len(mine) - 1) for mine in names),
        strays=strays,
        names=names,
    )
