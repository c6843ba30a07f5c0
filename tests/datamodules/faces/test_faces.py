"""Faces, landmarks and tracks, on the studio's people and on photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.studies.faces import count_matches, read_annotated
from datamodules.faces.detection.base import Found, overlap
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.dlib import DlibLandmarks
from datamodules.faces.landmarks.forehead import FOREHEAD, add_forehead
from datamodules.faces.tracking.steady import smooth
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.faces.view import View
from datamodules.runtime.errors import UserError
from tests.fixtures.rendering import render_person

PHOTOGRAPHS = Path(__file__).parents[4] / "shared" / "data" / "faces"


@pytest.fixture
def tracker(studio_only_landmarks: Path) -> FaceTracker:
    return FaceTracker(HOG(), DlibLandmarks(studio_only_landmarks))


def test_landmarks_are_floats_on_the_exact_places(tracker: FaceTracker) -> None:
    images, points = render_person(1, 12)
    (track,) = tracker.track(images)
    assert track.frames == list(range(12))
    found = np.stack(track.landmarks)
    width = np.ptp(points[:, :17, 0], axis=1).mean()
    assert np.linalg.norm(found - points, axis=-1).mean() < 0.03 * width
    assert np.abs(found - np.rint(found)).mean() > 0.1  # whole pixels would jitter
    assert all(score > 0 for score in track.scores)


def test_two_faces_keep_their_ids(tracker: FaceTracker) -> None:
    left, right = render_person(1, 40)[0], render_person(2, 40)[0]
    tracks = tracker.track([np.hstack(pair) for pair in zip(left, right, strict=True)])
    assert sorted(t.id for t in tracks) == [0, 1]
    for track in tracks:
        assert track.frames == list(range(40))
        side = {box[0] > 256 for box in track.boxes}
        assert len(side) == 1


def test_a_face_that_comes_between_two_searches_is_followed_back(tracker: FaceTracker) -> None:
    staying, coming = render_person(1, 40)[0], render_person(2, 40)[0]
    wall = np.full_like(coming[0], 128)
    tracks = tracker.track(
        [np.hstack([a, b if i >= 10 else wall]) for i, (a, b) in enumerate(zip(staying, coming, strict=True))]
    )
    assert sorted(t.frames[0] for t in tracks) == [0, 10]
    assert all(t.frames[-1] == 39 for t in tracks)


def test_a_face_out_of_sight_for_a_moment_keeps_its_id(tracker: FaceTracker) -> None:
    images, _ = render_person(1, 30)
    images[12:16] = [np.full_like(images[0], 90)] * 4
    (track,) = tracker.track(images)
    assert track.frames == [*range(12), *range(16, 30)]


def test_a_cut_to_another_person_starts_another_track(tracker: FaceTracker) -> None:
    first, second = render_person(1, 15)[0], render_person(2, 15)[0]
    far = [np.roll(np.pad(p, ((0, 0), (0, 256), (0, 0)), mode="edge"), 256, axis=1) for p in second]
    near = [np.pad(p, ((0, 0), (0, 256), (0, 0)), mode="edge") for p in first]
    tracks = tracker.track(near + far)
    assert sorted((t.frames[0], t.frames[-1]) for t in tracks) == [(0, 14), (15, 29)]


def test_a_video_without_faces_has_no_track(tracker: FaceTracker) -> None:
    rng = np.random.default_rng(0)
    assert tracker.track([rng.integers(0, 255, (120, 160, 3), dtype=np.uint8) for _ in range(6)]) == []


def test_smoothing_averages_in_time_and_keeps_a_face_that_rests() -> None:
    rest = np.tile(np.random.default_rng(0).random((1, 68, 2), np.float32), (9, 1, 1))
    np.testing.assert_allclose(smooth(np.arange(9), rest, 2.0), rest, rtol=1e-5)
    shaking = rest + np.array([1.0, -1.0] * 4 + [1.0], np.float32)[:, None, None]
    assert np.abs(smooth(np.arange(9), shaking, 2.0)[4] - rest[4]).max() < 0.1


def test_smoothing_looks_at_neighbours_alone_and_changes_nothing_by_it() -> None:
    rng = np.random.default_rng(0)
    frames = np.flatnonzero(rng.random(300) < 0.8)
    points = rng.random((len(frames), 68, 2), np.float32)
    weight = np.exp(-0.5 * ((frames[:, None] - frames) / 1.5) ** 2)
    whole = np.einsum("st,tnc->snc", weight / weight.sum(1, keepdims=True), points)
    np.testing.assert_allclose(smooth(frames, points, 1.5), whole, atol=1e-6)
    hour = np.arange(60_000)  # of which a weight for each pair would take 29 GB
    assert smooth(hour, np.broadcast_to(points[:1], (len(hour), 68, 2)), 2.0).shape == (60_000, 68, 2)


def test_the_forehead_continues_the_face_from_temple_to_temple() -> None:
    _, points = render_person(1, 2)
    more = add_forehead(points)
    assert more.shape == (2, 81, 2)
    np.testing.assert_array_equal(more[:, :68], points)
    arc = more[0, FOREHEAD]
    assert (np.diff(arc[:, 0]) > 0).all()  # from the left temple to the right one
    assert (arc[:, 1] < points[0, [0, 16], 1].max()).all()
    assert arc[6, 1] < points[0, 17:27, 1].min()  # above the brows
    assert sorted(FOREHEAD) == list(range(68, 81))


@given(
    x=st.floats(5, 200), y=st.floats(5, 150), side=st.floats(8, 120), around=st.floats(1.2, 3), to=st.floats(30, 300)
)
def test_a_view_maps_points_there_and_back(x: float, y: float, side: float, around: float, to: float) -> None:
    view = View(np.zeros((160, 220), np.uint8), np.array([x, y, x + side, y + side], np.float32), around, to)
    points = np.array([[x, y], [x + side, y + side / 3]], np.float32)
    np.testing.assert_allclose(view.to_frame(view.to_view(points)), points, atol=1e-2)


@pytest.mark.parametrize("side", [25.0, 60.0, 100.0, 400.0])
def test_a_view_shows_a_point_where_it_says(side: float) -> None:
    grey = np.zeros((200, 240), np.uint8)
    cv2.circle(grey, (120, 90), 12, 255, -1)
    view = View(grey, np.array([80, 60, 180, 160], np.float32), 1.5, side)
    weights = view.image.astype(float)
    ys, xs = np.mgrid[: weights.shape[0], : weights.shape[1]]
    centre = np.array([(weights * xs).sum(), (weights * ys).sum()]) / weights.sum()
    np.testing.assert_allclose(centre, view.to_view(np.array([[120, 90]], np.float32))[0], atol=0.35)


def test_overlap_of_boxes() -> None:
    a = np.array([0, 0, 10, 10], np.float32)
    assert overlap(a, a) == 1
    assert overlap(a, a + 5) == pytest.approx(25 / 175)
    assert overlap(a, a + 20) == 0


def test_a_missing_landmark_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.dat: no such file"):
        DlibLandmarks(tmp_path / "none.dat")
    (tmp_path / "text.dat").write_text("no model")
    found = Found(box=np.array([10, 10, 40, 40], np.float32), score=0)
    with pytest.raises(UserError, match=r"text\.dat: not a dlib shape predictor"):
        DlibLandmarks(tmp_path / "text.dat").fit(np.zeros((50, 50, 3), np.uint8), found)


@pytest.mark.skipif(not PHOTOGRAPHS.exists(), reason="the photographs of dlib are not here")
def test_all_faces_of_real_photographs_are_found_and_nothing_else() -> None:
    smallest = FaceTracker.__init__.__defaults__[3]  # type: ignore[index]
    faces = found = wrong = 0
    for image, exact in read_annotated(PHOTOGRAPHS):
        hits, misplaced = count_matches([f.box for f in HOG().find(image, smallest)], exact)
        faces, found, wrong = faces + len(exact), found + hits, wrong + misplaced
    assert (faces, found, wrong) == (43, 43, 0)
