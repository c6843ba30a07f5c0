"""Who is followed where it is hard: out of the image, through damage, between two searches."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmarks.studies import staging
from datamodules.faces.detection.base import Found, Image
from datamodules.faces.detection.blaze_face import BlazeFace, measure_roll
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.base import NoLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.tracking import pursuit
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.faces.view import View
from tests.fixtures.portraits import placed

TRACKERS: dict[str, Callable[[], FaceTracker]] = {
    "mesh": lambda: FaceTracker(BlazeFace(), FaceMesh()),
    "HOG": lambda: FaceTracker(HOG(), NoLandmarks(), min_face=100),
}
both = pytest.mark.parametrize("kind", TRACKERS)


class Counting(BlazeFace):
    """Remembers how often whole frames are searched."""

    searches = 0

    def find(self, image: Image, smallest: float) -> list[Found]:
        self.searches += 1
        return super().find(image, smallest)


@both
@pytest.mark.parametrize("way", [(-40, 0), (40, 0), (0, -40), (0, 40)])
def test_a_face_may_leave_the_image_at_a_run(kind: str, way: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    still, _ = placed(0, 250, 640, 360)

    def shifted(t: int) -> Image:
        by = np.array([[1, 0, way[0] * t], [0, 1, way[1] * t]], np.float32)
        return np.asarray(cv2.warpAffine(still, by, (1280, 720), borderMode=cv2.BORDER_REPLICATE), np.uint8)

    frames = [shifted(max(0, i - 10)) for i in range(46)]
    tracker, asked = TRACKERS[kind](), []
    follow = tracker.detector.follow

    def note(image: Image, last: Found) -> Found | None:
        asked.append(last.box)
        return follow(image, last)

    monkeypatch.setattr(tracker.detector, "follow", note)
    (track,) = tracker.track(frames)
    boxes = np.stack(asked)
    assert (boxes[:, 2:] > 0).all()  # where there is no image nobody looks
    assert (boxes[:, :2] < (1280, 720)).all()
    assert 12 <= track.frames[-1] < 32
    assert track.frames[0] == 0


@pytest.mark.parametrize(
    "box", [(-2400, 100, -2000, 500), (2000, 100, 2400, 500), (100, -2400, 500, -2000), (100, 1900, 500, 2300)]
)
@pytest.mark.parametrize("roll", [0.0, 0.4])
def test_beside_an_image_are_the_pixels_of_its_edge(box: tuple[int, ...], roll: float) -> None:
    image = np.full((720, 1280, 3), 50, np.uint8)
    image[12:-12, 12:-12] = 200
    assert (View(image, np.array(box, np.float32), 1.5, 64, roll).image == 50).all()


def test_the_first_search_waits_for_a_frame_that_is_not_damaged() -> None:
    staged = staging.one_shot(0, 24, 1011)
    (track,) = TRACKERS["mesh"]().track(staged.frames, damaged=[0, 1])
    assert track.frames == list(range(2, 24))


def test_many_damaged_frames_do_not_count_as_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    staged = staging.one_shot(0, 24, 1011)
    monkeypatch.setattr(pursuit, "HELD", 3 * staged.frames[0].nbytes)
    (track,) = TRACKERS["mesh"]().track(staged.frames, damaged=range(8))
    assert track.frames == list(range(8, 24))


def test_a_search_that_is_due_on_a_damaged_frame_waits_for_the_next() -> None:
    detector = Counting()
    started = FaceTracker(detector, FaceMesh(), search_every=10).start(damaged=[10, 21])
    seen = []
    for i, frame in enumerate(staging.one_shot(0, 24, 1011).frames):
        before = detector.searches
        started.update(frame)
        seen += [i] if detector.searches > before else []
    assert seen == [0, 11, 22]


def test_one_who_is_there_between_two_searches_is_seen_where_nobody_is_followed() -> None:
    n, middle = 60, staging.WIDTH / 2
    places = {0: (-150.0, 100.0), 8: (-60, 100), 16: (middle, 100), 24: (middle, 100), 34: (staging.WIDTH + 120, 100)}
    staged = staging.stage([staging.act(3, 34, staging.walk(places, n))], 300)
    detector = Counting()
    (track,) = FaceTracker(detector, FaceMesh()).track(staged.frames)
    assert staging.compare(staged, [track]).coverage > 0.9
    assert detector.searches < 10


def test_where_a_face_is_followed_whole_frames_are_searched_as_seldom_as_wanted() -> None:
    detector = Counting()
    FaceTracker(detector, FaceMesh()).track(staging.one_shot(0, 48, 1011).frames)
    assert detector.searches == 2  # at 0 and 45


def turned_to(frame: Image, degrees: float) -> Image:
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return np.asarray(cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def grey(frame: Image) -> Image:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


@pytest.mark.parametrize("gain", [(1.06, 1.0, 0.94), (1.35, 1.35, 1.35), (0.7, 0.7, 0.7)])
@pytest.mark.parametrize("number", [0, 3])
def test_a_change_of_light_ends_no_track(gain: tuple[float, float, float], number: int) -> None:
    frames = staging.one_shot(number, 24, 1011 + number).frames
    lit = [np.clip(frame * np.array(gain), 0, 255).astype(np.uint8) for frame in frames]
    (track,) = TRACKERS["mesh"]().track(frames[:12] + lit[12:])
    assert track.frames == list(range(24))


@both
def test_another_face_in_the_same_place_after_a_cut_that_nobody_sees_is_another(kind: str) -> None:
    staged = staging.stage_cut(3, 5, (7, 7))
    tracker = TRACKERS[kind]() if kind == "mesh" else FaceTracker(HOG(), NoLandmarks())
    assert sorted(staging.compare(staged, tracker.track(staged.frames)).names) == [["3"], ["5"]]


@both
@pytest.mark.parametrize("scene", [(staging.stage_replaced, 1, 2), (staging.follow_each_other, 3, 4)])
def test_two_people_of_a_black_and_white_video_stay_two(
    kind: str, scene: tuple[Callable[..., staging.Staged], int, int]
) -> None:
    staged = scene[0](*scene[1:])
    tracks = TRACKERS[kind]().track([grey(frame) for frame in staged.frames])
    assert sorted(staging.compare(staged, tracks).names) == [[str(number)] for number in scene[1:]]


def test_a_detector_is_told_how_a_followed_face_is_turned_by_now() -> None:
    frame, _ = placed(0, 200, 640, 360)
    started = FaceTracker(BlazeFace(), FaceMesh()).start()
    for degrees in range(0, 61, 5):
        started.update(turned_to(frame, degrees))
    (track,) = started.tracks
    first, last = track.sightings[0], track.sightings[-1]
    for one in (first, last):
        assert one.found.keypoints is not None
        np.testing.assert_allclose(one.found.keypoints[:2], one.face.points[36:48].reshape(2, 6, 2).mean(1), atol=0.01)
    assert last.found_by == "FaceMesh"
    assert last.found.keypoints is not None
    assert np.degrees(measure_roll(last.found.keypoints)) == pytest.approx(60, abs=5)
    _, now = placed(0, 200, 640, 360, 60)
    assert np.linalg.norm(last.found.keypoints[2] - now[30]) < 20  # of the nose, which turned with the eyes
    assert measure_roll(first.found.keypoints) == pytest.approx(0, abs=0.1)


def test_few_frames_are_kept_also_while_nobody_can_tell_who_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    staged = staging.stage_hidden(1, 0.5, True)
    monkeypatch.setattr(pursuit, "HELD", 4 * staged.frames[0].nbytes)
    monkeypatch.setattr(pursuit, "JOIN", 2.0)
    started, most = TRACKERS["mesh"]().start(), 0
    for frame in staged.frames:
        started.update(frame)
        most = max(most, len(started.pending))
    assert 2 < most <= 4
    assert len(started.tracks) == 2
