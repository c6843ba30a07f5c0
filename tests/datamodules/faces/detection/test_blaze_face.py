"""BlazeFace: which faces it finds, where it says they are, and what it is made of."""

from __future__ import annotations

import pickle
from hashlib import sha256
from multiprocessing import get_context
from typing import Literal

import numpy as np
import pytest

from datamodules.faces.detection.base import FaceDetector, Found, overlap
from datamodules.faces.detection.blaze_face import SIDE, BlazeFace, cut, measure_roll, merge
from datamodules.faces.detection.hog import HOG
from datamodules.faces.tflite import MODELS
from datamodules.runtime.errors import UserError
from tests.fixtures.portraits import PEOPLE, placed, portrait

DIGESTS = {
    "face_detection_full_range.tflite": "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    "face_landmark.tflite": "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    "iris_landmark.tflite": "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
}


def test_the_models_are_the_ones_that_google_published() -> None:
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in MODELS.glob("*.tflite")} == DIGESTS


def test_boxes_are_those_of_dlib() -> None:
    ratios = []
    for number in range(len(PEOPLE)):
        image, _ = portrait(number)
        (found,), (theirs,) = BlazeFace().find(image, 100), HOG().find(image, 100)
        assert overlap(found.box, theirs.box) > 0.7
        ratios.append((found.box[2] - found.box[0]) / (theirs.box[2] - theirs.box[0]))
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_keypoints_lie_on_eyes_nose_and_mouth() -> None:
    for number in range(len(PEOPLE)):
        image, points = portrait(number)
        (found,) = BlazeFace().find(image, 100)
        assert found.keypoints is not None
        exact = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48:].mean(0)])
        across = np.linalg.norm(points[45] - points[36])
        assert np.linalg.norm(found.keypoints[:4] - exact, axis=1).max() < 0.2 * across
        right_ear, left_ear = found.keypoints[4:]
        assert right_ear[0] < points[36, 0]
        assert left_ear[0] > points[45, 0]


@pytest.mark.parametrize(
    ("side", "x", "y"), [(38, 100, 100), (38, 640, 400), (38, 1200, 650), (90, 640, 360), (320, 640, 360)]
)
def test_a_face_of_any_size_is_found_once_wherever_it_is(side: float, x: float, y: float) -> None:
    for number in range(4):
        frame, points = placed(number, side, x, y)
        (found,) = BlazeFace().find(frame, 38)
        centre = points[17:].mean(0)
        assert np.linalg.norm(found.box.reshape(2, 2).mean(0) - centre) < 0.2 * side


def test_parts_of_an_image_cover_it_and_share_more_than_a_face() -> None:
    image = np.zeros((720, 1280, 3), np.uint8)
    parts = list(cut(image, 46))
    assert len(parts) == 3  # all of it, then two that are as high as the image
    corners = [corner / scale for _, corner, scale, _ in parts[1:]]
    sides = [SIDE / scale for _, _, scale, _ in parts[1:]]
    np.testing.assert_allclose([corners[0][0], corners[1][0] + sides[1][0]], [0, 1280], atol=2)
    assert corners[0][0] + sides[0][0] - corners[1][0] > 1280 / SIDE * 12
    assert len(list(cut(image, 100))) == 1


def test_neighbouring_places_are_averaged_by_their_scores() -> None:
    one = np.zeros((8, 2), np.float32)
    one[1] = 10
    near, far = one + 1, one + 30
    found = merge(np.stack([near, one, far]), np.array([0.6, 0.9, 0.7], np.float32))
    assert [round(f.score, 2) for f in found] == [0.9, 0.7]
    np.testing.assert_allclose(found[0].box, np.array([0, 0, 10, 10]) + 0.6 / 1.5, rtol=1e-5)  # 0.9 of 0 and 0.6 of 1
    np.testing.assert_allclose(found[1].box, [30, 30, 40, 40])


@pytest.mark.parametrize("degrees", [-90, -45, 0, 45, 90])
def test_a_known_face_is_followed_as_far_as_it_is_turned(degrees: float) -> None:
    for number in range(4):
        frame, points = placed(number, 100, 640, 360, degrees)
        keypoints = np.zeros((6, 2), np.float32)
        keypoints[0], keypoints[1] = points[36:42].mean(0), points[42:48].mean(0)
        box = np.array([590, 310, 690, 410], np.float32)
        found = BlazeFace().follow(frame, Found(box=box, score=1, keypoints=keypoints))
        assert found is not None
        assert found.keypoints is not None
        assert np.linalg.norm(found.keypoints[:2] - keypoints[:2], axis=1).max() < 12
        assert np.degrees(measure_roll(found.keypoints)) == pytest.approx(degrees, abs=8)
        assert found.box[2] - found.box[0] == pytest.approx(100, abs=25)


@pytest.mark.parametrize("detector", [BlazeFace(), HOG()])
def test_nothing_is_followed_where_there_is_no_face(detector: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    box = np.array([100, 80, 180, 160], np.float32)
    assert detector.find(noise, 38) == []
    assert detector.follow(noise, Found(box=box, score=1)) is None


def test_a_detector_that_was_sent_elsewhere_finds_the_same() -> None:
    image, _ = portrait(0)
    detector = BlazeFace(threshold=0.7)
    (here,) = detector.find(image, 100)
    (there,) = pickle.loads(pickle.dumps(detector)).find(image, 100)
    np.testing.assert_array_equal(here.box, there.box)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_find_the_same(method: Literal["fork", "spawn"]) -> None:
    image, _ = portrait(0)
    (here,) = BlazeFace().find(image, 100)  # the network is loaded before the fork
    with get_context(method).Pool(1) as pool:
        (there,) = pool.apply_async(BlazeFace().find, (image, 100)).get(timeout=60)
    np.testing.assert_array_equal(here.box, there.box)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -3])
def test_a_threshold_that_is_no_score_is_refused(threshold: float) -> None:
    with pytest.raises(UserError, match="must be between 0 and 1"):
        BlazeFace(threshold=threshold)
