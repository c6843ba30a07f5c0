"""Boxes that follow a face without jumping, without lagging and without losing a point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.studies import staging
from datamodules.faces.crop import Square
from datamodules.faces.detection.base import Found
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.base import FacePoints, NoLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.stream import watch
from datamodules.faces.tracking.steady import steady_all
from datamodules.faces.tracking.track import Sighting, Track
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.encode import write_h264
from datamodules.media.video import PyAV

REACH = 10


def track_of(frames: list[int], boxes: NDArray[np.float64], points: NDArray[np.float32] | None = None) -> Track:
    """With all points in the middle of the boxes, if none are given."""
    track = Track(0)
    for at, (frame, box) in enumerate(zip(frames, boxes, strict=True)):
        middle = np.tile((box[:2] + box[2:]) / 2, (68, 1)) if points is None else points[at]
        found = Found(box=box.astype(np.float32), score=1.0)
        face = FacePoints(points=middle.astype(np.float32))
        track.sightings.append(Sighting(frame=frame, found=found, face=face, found_by="test"))
    return track


def jumps(boxes: list[NDArray[np.float32]]) -> float:
    """Share of neighbours of which a side moves by more than a tenth of the box."""
    both = np.stack(boxes)
    size = (both[:-1, 2:] - both[:-1, :2]).max(1)
    return float((np.abs(np.diff(both, axis=0)).max(1) > 0.1 * size).mean())


def test_boxes_of_hog_jump_and_steady_ones_do_not() -> None:
    raw, steady = [], []
    for number, place in ((0, 11), (1, 12), (2, 13)):
        (track,) = FaceTracker(HOG(), NoLandmarks()).track(staging.one_shot(number, 48, 1000 + place, place).frames)
        assert track.frames == list(range(48))
        raw.append(jumps([one.found.box for one in track]))
        steady.append(jumps(track.boxes))
    assert np.mean(raw) > 0.1
    assert np.mean(steady) < 0.02


def test_a_box_that_moves_and_grows_evenly_stays_where_it_is_to_both_ends() -> None:
    t = np.arange(30.0)[:, None]
    boxes = np.array([10.0, 20, 70, 90]) + t * np.array([3.0, -1, 4, 0])
    track = track_of(list(range(30)), boxes)
    steady_all(track, REACH, 0)
    np.testing.assert_allclose(np.stack(track.boxes), boxes, atol=1e-3)


def test_a_box_knows_nothing_of_what_is_beyond_a_gap_or_beyond_its_reach() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([50.0, 50, 110, 110]) + rng.normal(0, 4, (40, 4))
    frames = [*range(20), *range(23, 43)]
    whole, first = track_of(frames, boxes), track_of(frames[:20], boxes[:20])
    steady_all(whole, REACH, 0)
    steady_all(first, REACH, 0)
    np.testing.assert_array_equal(np.stack(whole.boxes)[:20], np.stack(first.boxes))
    changed = boxes.copy()
    changed[5] += 30
    other = track_of(frames, changed)
    steady_all(other, REACH, 0)
    differ = np.flatnonzero((np.stack(other.boxes) != np.stack(whole.boxes)).any(1))
    assert differ.tolist() == list(range(16))


@pytest.mark.parametrize("margin", [1.3, 1.7])
def test_a_square_holds_all_landmarks_and_these_stay_as_they_were(margin: float) -> None:
    rng = np.random.default_rng(1)
    boxes = np.array([50.0, 50, 110, 110]) + rng.normal(0, 5, (40, 4))
    points = (80 + rng.normal(0, 18, (40, 68, 2))).astype(np.float32)
    track = track_of(list(range(40)), boxes, points)
    steady_all(track, REACH, 1.3)
    for one, exact in zip(track, points, strict=True):
        inward = Square.from_box(one.box, margin).to_crop(one.face.points, 256)
        assert inward.min() > -0.5
        assert inward.max() < 255.5
        np.testing.assert_array_equal(one.face.points, exact)


def test_without_a_reach_and_without_room_boxes_are_as_they_were_found() -> None:
    boxes = np.array([50.0, 50, 110, 110]) + np.random.default_rng(2).normal(0, 5, (9, 4))
    track = track_of(list(range(9)), boxes)
    steady_all(track, 0, 0)
    np.testing.assert_array_equal(np.stack(track.boxes), boxes.astype(np.float32))


@pytest.mark.parametrize("kind", ["mesh", "HOG"])
def test_boxes_are_the_same_while_watching_and_afterwards(kind: str, tmp_path: Path) -> None:
    tracker = FaceTracker(BlazeFace(), FaceMesh()) if kind == "mesh" else FaceTracker(HOG(), NoLandmarks())
    cut = staging.stage_cut(3, 5, (7, 8)).frames
    write_h264(tmp_path / "video.mp4", staging.stage_hidden(3, 1.0).frames + cut, staging.FPS, 20)
    seen: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
    for frame in watch(PyAV(), tmp_path / "video.mp4", tracker):
        for face in frame.faces:
            seen.setdefault(face.track.id, []).append((frame.number, face.box))
    tracks = tracker.track(frame.numpy() for _, _, frame in PyAV().stream(tmp_path / "video.mp4"))
    assert len(tracks) == 3
    for track in tracks:
        assert [number for number, _ in seen[track.id]] == track.frames
        np.testing.assert_array_equal(np.stack([box for _, box in seen[track.id]]), np.stack(track.boxes))
