"""Where clips begin, of all faces at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules import manifest
from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.loading.sampling import TrainSampler
from datamodules.loading.starts import begin_clips, count_spaced
from datamodules.loading.without_clip import list_without_clip
from datamodules.spacing import space_evenly
from tests.fixtures.rows import faces

VIDEO = 60  # frames


@pytest.fixture
def seen() -> list[NDArray[np.int64]]:
    """Frames in which each of some faces was found, with gaps; one face in none."""
    rng = np.random.default_rng(0)
    shares = [0.0, *rng.uniform(0.1, 1, 40)]
    return [np.flatnonzero(rng.random(VIDEO) < share) for share in shares]


def flatten(seen: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.repeat(np.arange(len(seen)), [len(frames) for frames in seen]), np.concatenate(seen)


def starts_of(frames: NDArray[np.int64], length: int, every: int) -> list[int]:
    there = set(frames.tolist())
    return [n for n in frames.tolist() if all(n + step * every in there for step in range(length))]


@pytest.mark.parametrize(("length", "every"), [(1, 1), (4, 1), (1, 3), (3, 2), (4, 5)])
def test_clips_begin_where_all_their_frames_are_known(seen: list[NDArray[np.int64]], length: int, every: int) -> None:
    face, frame = flatten(seen)
    begins = begin_clips(face, frame, length, every)
    for i, frames in enumerate(seen):
        assert frame[begins & (face == i)].tolist() == starts_of(frames, length, every)


@pytest.mark.parametrize("count", [1, 3, 8, 100])
def test_evenly_spaced_clips_are_counted_as_they_are_drawn(seen: list[NDArray[np.int64]], count: int) -> None:
    lengths = np.full(len(seen), VIDEO)
    lengths[1::2] = 6  # as of videos that are longer than their table says
    for face, (frames, length) in enumerate(zip(seen, lengths.tolist(), strict=True)):
        shared = np.intersect1d(frames, space_evenly(length, count))
        drawn = len(frames) if len(frames) <= count else len(shared) or count
        assert count_spaced(*flatten(seen), lengths, count)[face] == drawn


def test_clips_that_a_fake_and_its_source_both_have_are_counted_for_all_fakes_at_once(
    seen: list[NDArray[np.int64]],
) -> None:
    some = faces(real=4, fake=12)
    some.starts, some.all_starts = lambda i: seen[i], lambda: flatten(seen[:16])
    some.source[15] = 99  # a fake whose real video is not there
    sampler = TrainSampler(some, clips_per_face=1000, batch=2, seed=0, pairs=True)
    expected = [len(np.intersect1d(seen[i], seen[(i - 4) % 4])) if 4 <= i < 15 else 0 for i in range(16)]
    assert sampler.count_clips().tolist() == expected
    assert any(expected)


def test_test_videos_whose_faces_are_too_short_for_a_clip_are_listed(prepared: Path, studio: Path) -> None:
    listed = {}
    for clip in (3, 64):  # of 48 frames
        data = FaceData(prepared=prepared, root=studio, index=index, frame_source="videos", clip=clip, num_workers=0)
        listed[clip] = list_without_clip(data.clips("test"))
    assert listed[3] == []
    assert sorted(listed[64]) == sorted(manifest.keys(data.group.videos("test", only_real=False)).to_pylist())
    assert len(listed[64]) > 0
