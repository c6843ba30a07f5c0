"""A video through the steps of a degradation, frame by frame, with the times of its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import numpy as np

from datamodules.degradation.operations import Coded, Even, FrameDrop, Image, Stage, Step
from datamodules.media.encode import write
from datamodules.media.mask_video import stream_masks
from datamodules.media.video import Decoder, VideoError, probe
from datamodules.segments import find_forged, write_frames

LOSSLESS = Coded("libx264", 0)
PRESETS = {"libx264": "medium", "libx265": "fast"}

Shown = tuple[int, float, Image]  # number, seconds, and what is seen


def create_generator(key: str, *address: int) -> np.random.Generator:
    """Of the video and the frame alone, on any machine and in any order."""
    return np.random.default_rng([crc32(key.encode()), *address])


def save(path: Path, frames: Iterable[Shown], fps: float, coded: Coded) -> None:
    timed = ((seconds, image) for _, seconds, image in frames)
    write(path, timed, fps, coded.crf, coded.codec, PRESETS[coded.codec])


def read(decoder: Decoder, path: Path) -> Iterator[Shown]:
    for number, seconds, frame in decoder.stream(path):
        yield number, seconds, frame.cpu().numpy()


def passes(stages: Sequence[Stage]) -> list[tuple[list[Step | FrameDrop], Coded]]:
    """What happens before each coder; what no coder follows is kept without loss."""
    out: list[tuple[list[Step | FrameDrop], Coded]] = []
    before: list[Step | FrameDrop] = [Even()]
    for stage in stages:
        if isinstance(stage, Coded):
            out.append((before, stage))
            before = []
        else:
            before.append(stage)
    return [*out, (before, LOSSLESS)] if before else out


def map_arriving(steps: Sequence[Step | FrameDrop], count: int, key: str, number: int) -> dict[int, int]:
    """New numbers of the frames that come through a pass, by their old ones."""
    kept = set(range(count))
    for i, step in enumerate(steps):
        if isinstance(step, FrameDrop):
            kept &= step.draw_kept(count, create_generator(key, number, i))
    return {old: new for new, old in enumerate(sorted(kept))}


def map_segments(segments: str, source: Path, key: str, stages: Sequence[Stage]) -> str:
    """Which frames are forged, once those that are dropped no longer count."""
    index = probe(source)
    forged = find_forged(segments, index.fps, range(len(index)), str(source), index.times)
    for number, (steps, _) in enumerate(passes(stages)):
        forged = forged[sorted(map_arriving(steps, len(forged), key, number))]
    if not forged.any():
        raise VideoError(source, "none of its forged frames is left")
    changes = np.flatnonzero(np.diff(np.concatenate([[False], forged, [False]]))).tolist()
    return write_frames((first, end - first) for first, end in zip(changes[::2], changes[1::2], strict=True))


def degrade_frames(
    frames: Iterable[Shown],
    steps: Sequence[Step | FrameDrop],
    places: dict[int, int],
    key: str,
    number: int,
    is_mask: bool,
) -> Iterator[Shown]:
    """
    Args:
        places: New frame numbers by the old ones, from ``map_arriving``.
        key: Key of the video, on which all draws depend.
        number: Number of the pass.
        is_mask: Only places and times change.
    """
    for old, seconds, image in frames:
        if old not in places:
            continue
        rng = create_generator(key, number, len(steps), old)
        for step in steps:
            if isinstance(step, Step):
                image = step.mask(image) if is_mask else step(image, rng)
        yield places[old], seconds, image


def degrade(source: Path, out: Path, key: str, stages: Sequence[Stage], decoder: Decoder) -> None:
    """Writes the degraded video."""
    index = probe(source)
    if not index.has_rate:
        raise VideoError(source, "is stored as images; only videos can be degraded as such")
    with TemporaryDirectory(prefix="degrade") as folder:
        frames, count = read(decoder, source), len(index)
        for number, (steps, coded) in enumerate(done := passes(stages)):
            is_last = number + 1 == len(done)
            target = out if is_last else Path(folder) / f"{number}.mp4"
            places = map_arriving(steps, count, key, number)
            save(target, degrade_frames(frames, steps, places, key, number, is_mask=False), index.fps, coded)
            if not is_last:
                frames, count = read(decoder, target), len(places)


def degrade_masks(source: Path, masked: Path, out: Path, key: str, stages: Sequence[Stage], decoder: Decoder) -> bool:
    """Writes the masks that belong to a degraded video, grey as they are; not, if no frame has one.

    Where the first frame has none it gets a black one: the times of all others count from there.

    Args:
        source: The masks.
        masked: The video before.
    """
    index = probe(masked)
    masks: Iterator[Shown] = stream_masks(decoder, source, index, threshold=None)
    first = next(masks, None)
    if first is None:
        return False
    black = [(0, 0.0, np.zeros_like(first[2]))] if first[0] else []
    masks, count = chain(black, [first], masks), len(index)
    for number, (steps, _) in enumerate(passes(stages)):
        places = map_arriving(steps, count, key, number)
        masks, count = degrade_frames(masks, steps, places, key, number, is_mask=True), len(places)
    save(out, masks, index.fps, LOSSLESS)
    return True
