"""Who is followed where it is hard: out of the picture, through damage, between two searches."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmarks import staging
from datamodules.faces.blaze_face import BlazeFace
from datamodules.faces.detection import Found, Image
from datamodules.faces.face_mesh import FaceMesh
from datamodules.faces.hog import HOG
from datamodules.faces.landmarks import NoLandmarks
from datamodules.faces.tracking import FaceTracker
from datamodules.faces.view import View
from tests.portraits import placed

TRACKERS: dict[str, Callable[[], FaceTracker]] = {
    "mesh": lambda: FaceTracker(BlazeFace(), FaceMesh()),
    "HOG": lambda: FaceTracker(HOG(), NoLandmarks(), smallest=100),
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
def test_a_face_may_leave_the_picture_at_a_run(
    kind: str, way: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert (boxes[:, 2:] > 0).all() and (boxes[:, :2] < (1280, 720)).all()  # where there is no picture nobody looks
    assert 12 <= track.frames[-1] < 32
    assert track.frames[0] == 0


@pytest.mark.parametrize(
    "box", [(-2400, 100, -2000, 500), (2000, 100, 2400, 500), (100, -2400, 500, -2000), (100, 1900, 500, 2300)]
)
@pytest.mark.parametrize("roll", [0.0, 0.4])
def test_beside_an_image_are_the_pixels_of_its_edge(box: tuple[int, ...], roll: float) -> None:
    image = np.full((720, 1280, 3), 50, np.uint8)
    image[12:-12, 12:-12] = 200
    assert (View(image, np.array(box, np.float32), 1.5, 64, roll).picture == 50).all()


def test_the_first_search_waits_for_a_frame_that_is_not_damaged() -> None:
    staged = staging.one_shot(0, 24, 1011)
    (track,) = TRACKERS["mesh"]().track(staged.frames, damaged=[0, 1])
    assert track.frames == list(range(2, 24))


def test_a_search_that_is_due_on_a_damaged_frame_waits_for_the_next() -> None:
    detector = Counting()
    started = FaceTracker(detector, FaceMesh(), every=10).start(damaged=[10, 21])
    seen = []
    for i, frame in enumerate(staging.one_shot(0, 24, 1011).frames):
        before = detector.searches
        started.update(frame)
        seen += [i] if detector.searches > before else []
    assert seen == [0, 11, 22]


def test_one_who_is_there_between_two_searches_is_seen_where_nobody_is_followed() -> None:
    n, middle = 60, staging.WIDTH / 2
    places = {0: (-150, 100), 8: (-60, 100), 16: (middle, 100), 24: (middle, 100), 34: (staging.WIDTH + 120, 100)}
    staged = staging.stage([staging.act(3, 34, staging.walk(places, n))], 300)
    detector = Counting()
    (track,) = FaceTracker(detector, FaceMesh()).track(staged.frames)
    assert staging.compare(staged, [track]).coverage > 0.9
    assert detector.searches < 10


def test_where_a_face_is_followed_whole_frames_are_searched_as_seldom_as_wanted() -> None:
    detector = Counting()
    FaceTracker(detector, FaceMesh()).track(staging.one_shot(0, 48, 1011).frames)
    assert detector.searches == 2  # at 0 and 45
