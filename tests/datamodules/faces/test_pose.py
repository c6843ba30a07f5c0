"""How a head is turned: against the studio's turns, and photographs that were turned."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.landmarks.base import FacePoints
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.pose import MEAN, MEAN_68, HeadPose, angles, measure_pose
from datamodules.studio.face import Expression
from datamodules.studio.head import Pose
from tests.fixtures.portraits import placed, turned

MODELS = ["mesh", "68 points"]


def measure(image: np.ndarray, model: str) -> HeadPose:
    face = FaceMesh().fit(image, BlazeFace().find(image, 60)[0])
    return measure_pose(face if model == "mesh" else FacePoints(points=face.points))


@pytest.mark.parametrize("model", MODELS)
def test_a_head_that_turns_has_a_yaw_of_that_side(model: str) -> None:
    for number in (1, 2):
        front = measure(turned(number, 0), model).yaw
        assert abs(front) < 8
        for yaw in (-34, -17, 17, 34):
            change = measure(turned(number, yaw), model).yaw - front
            assert 0.5 * abs(yaw) < change * np.sign(yaw) < 1.3 * abs(yaw)


@pytest.mark.parametrize("model", MODELS)
def test_a_head_that_nods_has_a_pitch_of_that_side(model: str) -> None:
    for number in (1, 2):
        up, down = (measure(turned(number, 0, pitch), model).pitch for pitch in (12, -12))
        assert 8 < up - down < 36


def test_a_mouth_that_opens_turns_no_head() -> None:
    closed, opened = (measure(turned(1, expression=Expression(mouth=mouth)), "mesh") for mouth in (0.0, 1.0))
    assert abs(closed.pitch - opened.pitch) < 3


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("degrees", [-90, -40, 0, 40, 90])
def test_roll_is_the_turn_of_a_photograph(model: str, degrees: float) -> None:
    level, rolled = (measure(placed(1, 100, 640, 360, turn)[0], model) for turn in (0, degrees))
    assert rolled.roll - level.roll == pytest.approx(degrees, abs=3)
    assert rolled.yaw == pytest.approx(level.yaw, abs=5)


def test_the_mean_face_looks_into_the_camera() -> None:
    for face in (FacePoints(points=MEAN_68[:, :2], mesh=MEAN), FacePoints(points=5 * MEAN_68[:, :2] + 30)):
        pose = measure_pose(face)
        assert np.abs([pose.yaw, pose.pitch, pose.roll]).max() < 0.1


def test_angles_are_those_that_a_studio_head_was_turned_by() -> None:
    pose = Pose(yaw=0.4, pitch=-0.2, roll=0.7, x=0, y=0, radius=1, body=(0, 0))
    away = np.diag([1, 1, -1])  # the studio's z points to the camera
    found = angles((away @ pose.matrix() @ away).astype(np.float32))
    np.testing.assert_allclose([found.yaw, found.pitch, found.roll], np.degrees([0.4, -0.2, 0.7]), rtol=1e-4)
