"""Who is followed through hiding, crossing, cuts and flashes, with both kinds of following."""

from __future__ import annotations

import functools
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmarks.studies import staging
from benchmarks.studies.staging import Staged
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.base import NoLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.tracking import pursuit
from datamodules.faces.tracking.appearance import describe, similarity
from datamodules.faces.tracking.track import Track
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.prepared.face_table import FACES, tabulate
from datamodules.runtime.errors import UserError

TRACKERS: dict[str, Callable[[], FaceTracker]] = {
    "mesh": lambda: FaceTracker(BlazeFace(), FaceMesh()),
    "HOG": lambda: FaceTracker(HOG(), NoLandmarks()),
}
both = pytest.mark.parametrize("kind", TRACKERS)


@functools.cache
def tracked(kind: str, scene: Callable[..., Staged], *arguments: int | float) -> tuple[Staged, list[Track]]:
    staged = scene(*arguments)
    return staged, TRACKERS[kind]().track(staged.frames)


@both
@pytest.mark.parametrize("scene", [(1, 0.5, True), (3, 1.0)])
def test_a_face_that_is_hidden_for_up_to_a_second_stays_the_same(kind: str, scene: tuple[int, float]) -> None:
    staged, tracks = tracked(kind, staging.stage_hidden, *scene)
    assert len(tracks) == 1
    outcome = staging.compare(staged, tracks)
    assert outcome.strays == 0
    assert outcome.coverage > 0.95
    hidden = np.flatnonzero(staged.share[str(scene[0])] == 0)
    assert not set(hidden) & set(tracks[0].frames)


@both
@pytest.mark.parametrize("scene", [(staging.stage_replaced, 1, 2), (staging.follow_each_other, 3, 4)])
def test_another_face_in_its_place_within_a_second_is_another(
    kind: str, scene: tuple[Callable[..., Staged], int, int]
) -> None:
    staged, tracks = tracked(kind, *scene)
    outcome = staging.compare(staged, tracks)
    assert sorted(outcome.names) == [[str(number)] for number in scene[1:]]
    assert outcome.coverage > 0.9


@both
def test_people_who_change_places_stay_who_they_are(kind: str) -> None:
    staged, tracks = tracked(kind, staging.stage_crossing, 1, 4)
    outcome = staging.compare(staged, tracks)
    assert outcome.switches == 0
    assert outcome.tracks == {"1": 1, "4": 1}
    assert outcome.coverage > 0.95


@both
def test_people_side_by_side_are_followed_in_every_frame(kind: str) -> None:
    staged, tracks = tracked(kind, staging.side_by_side, 0, 4)
    assert [track.frames for track in tracks] == [list(range(30))] * 2
    assert sorted(staging.compare(staged, tracks).names) == [["0"], ["4"]]


@both
@pytest.mark.parametrize("second", [3, 5])
def test_a_cut_ends_every_track_also_of_one_who_is_in_both_shots(kind: str, second: int) -> None:
    _, tracks = tracked(kind, staging.stage_cut, 3, second, (7, 8))
    assert sorted((track.frames[0], track.frames[-1]) for track in tracks) == [(0, 24), (25, 49)]
    assert {track.shot for track in tracks} == {0, 1}


@both
def test_a_flash_ends_no_track(kind: str) -> None:
    staged = staging.flash(staging.one_shot(0, 24, 1011), 10, 2)
    (track,) = TRACKERS[kind]().track(staged.frames)
    assert {*range(10), *range(12, 24)} <= set(track.frames)


def test_one_who_comes_between_two_searches_is_followed_back() -> None:
    staged = staging.follow_each_other(3, 4)
    tracks = FaceTracker(BlazeFace(), FaceMesh(), search_every=69).track(staged.frames)
    come = next(track for track in tracks if track.frames[-1] == 69)
    first = int(np.flatnonzero(staged.share["4"] >= staging.SEEN)[0])
    assert come.frames == list(range(come.frames[0], 70))
    assert come.frames[0] <= first + 1


@pytest.mark.parametrize("held", [2**20, 2**27])
def test_few_frames_are_kept_to_look_for_those_who_come(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pursuit, "HELD", held)
    staged = staging.stage_hidden(3, 1.0)
    tracker = FaceTracker(BlazeFace(), FaceMesh(), search_every=30)
    started, most = tracker.start(), 0
    for frame in staged.frames:
        started.update(frame)
        most = max(most, len(started.pending))
    assert most <= min(30 + pursuit.SEARCH_LOST, 1 + held // staged.frames[0].nbytes)
    assert most > 2


def test_what_found_a_face_and_how_surely_is_kept() -> None:
    _, tracks = tracked("mesh", staging.side_by_side, 0, 4)
    for track in tracks:
        assert [one.found_by for one in track] == ["BlazeFace"] + ["FaceMesh"] * 29
        assert track.sightings[0].found.score > 0.5
        assert all(np.isnan(one.found.score) for one in track.sightings[1:])
        assert all(one.face.presence > 0.9 for one in track)
        rows = tabulate("video", track, {i: i / 25 for i in range(30)}, 0.5)
        assert rows.schema == FACES
        assert rows["found_by"].to_pylist() == [one.found_by for one in track]
        np.testing.assert_array_equal(
            rows["presence"].to_numpy(), np.array([one.face.presence for one in track], np.float32)
        )
        np.testing.assert_array_equal(rows["x1"].to_numpy(), [one.box[2] for one in track])
        assert rows["time"][10].as_py() == 0.4
        assert [one.face.mesh is None for one in track] == [True] * 29 + [False]  # an hour of them is large
        assert np.abs(np.stack([rows[name].to_numpy() for name in ("yaw", "pitch", "roll")])).max() < 45
    _, tracks = tracked("HOG", staging.side_by_side, 0, 4)
    assert {one.found_by for track in tracks for one in track} == {"HOG"}
    assert all(np.isnan(one.face.presence) and np.isnan(one.pose.yaw) for track in tracks for one in track)


def test_people_of_one_scene_differ_more_than_one_person_in_time() -> None:
    staged = staging.side_by_side(0, 4)
    looks = {
        name: [describe(staged.frames[i], staging.box_of(points[i])) for i in range(0, 30, 5)]
        for name, points in staged.points.items()
    }
    for mine, others in (("0", "4"), ("4", "0")):
        assert min(similarity(looks[mine][0], look) for look in looks[mine]) > pursuit.JOIN
        assert max(similarity(looks[mine][0], look) for look in looks[others]) < pursuit.KEEP


def test_a_brighter_image_looks_the_same() -> None:
    staged = staging.side_by_side(0, 4)
    frame, box = staged.frames[0], staging.box_of(staged.points["0"][0])
    brighter = cv2.convertScaleAbs(frame, alpha=1.15)
    assert similarity(describe(frame, box), describe(brighter, box)) > pursuit.JOIN


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("search_every", 0, "at least 1"),
        ("min_face", 0, "at least 1"),
        ("min_frames", -1, "at least 0"),
        ("landmark_smoothing", -0.5, "at least 0"),
        ("landmark_smoothing", float("nan"), "at least 0"),
        ("box_smoothing", -1, "at least 0"),
        ("landmark_margin", 0.5, "0, or at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(name: str, value: float, rule: str) -> None:
    with pytest.raises(UserError, match=rf"faces\.{name} {value}: must be {rule}"):
        FaceTracker(BlazeFace(), FaceMesh(), **{name: value})  # type: ignore[arg-type]
