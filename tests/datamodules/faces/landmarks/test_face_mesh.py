"""The face mesh: how near its points are to those placed by hand, and that it follows a face without a detector."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from datamodules.faces.detection.base import Found, Image
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.landmarks.base import FacePoints, NoLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.landmarks.mesh_points import WEIGHTS, WEIGHTS_OF_EYES, convert_to_68
from datamodules.studio.face import Expression
from tests.fixtures.portraits import PEOPLE, placed, portrait, turned
from tests.fixtures.rendering import render_person


def fit(image: Image, smallest: float = 60) -> FacePoints:
    (found,) = BlazeFace().find(image, smallest)
    return FaceMesh().fit(image, found)


def differ(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """(68,) distances over that of the outer corners of the eyes."""
    return np.asarray(np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact[45] - exact[36]))


def test_points_lie_where_people_placed_them() -> None:
    errors = []
    for number in range(len(PEOPLE)):
        image, points = portrait(number)
        fitted = fit(image)
        assert fitted.presence > 0.99
        errors.append(differ(fitted.points, points))
    error = np.stack(errors)
    assert np.median(error) < 0.028
    assert np.median(error[:, 36:]) < 0.022  # eyes and lips


def test_each_of_the_68_lies_between_vertices_of_the_mesh() -> None:
    for weights in (WEIGHTS, WEIGHTS_OF_EYES):
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
        assert (weights >= 0).all()
        assert ((weights > 0).sum(1) <= 5).all()
    shifted = np.random.default_rng(0).random((468, 3)).astype(np.float32)
    np.testing.assert_allclose(convert_to_68(2 * shifted + 5), 2 * convert_to_68(shifted) + 5, rtol=1e-4)


@pytest.mark.parametrize("degrees", [-30, 30])
def test_a_turned_face_has_the_points_of_the_upright_one(degrees: float) -> None:
    errors = []
    for number in range(4):
        frame, points = placed(number, 200, 640, 360, degrees)
        errors.append(differ(fit(frame, 100).points, points))
    assert np.median(errors) < 0.035


def test_a_face_is_followed_through_a_video_without_a_detector() -> None:
    images, exact = render_person(1, 24)
    model = FaceMesh()
    last: FacePoints | None = fit(images[0], 38)
    for image, points in zip(images, exact, strict=True):
        assert last is not None
        last = model.follow(image, last)
        assert last is not None
        assert last.presence > 0.9
        assert np.median(differ(last.points, points)) < 0.06


@pytest.mark.parametrize(("eyes", "least", "most"), [(False, -0.1, 0.4), (True, 0.4, 1.1)])
def test_lids_close_where_eyes_are_looked_at_once_more(eyes: bool, least: float, most: float) -> None:
    for number in (1, 2):
        opened, closed = (
            FaceMesh(eyes=eyes).fit(image, BlazeFace().find(image, 60)[0]).points
            for image in (turned(number), turned(number, expression=Expression(blink=1)))
        )
        gaps = [np.linalg.norm(p[[37, 38, 43, 44]] - p[[41, 40, 47, 46]], axis=1).mean() for p in (opened, closed)]
        assert least < 1 - gaps[1] / gaps[0] < most


def test_eyes_that_are_looked_at_once_more_are_where_people_placed_them() -> None:
    errors = []
    for number in range(6):
        frame, points = placed(number, 200, 640, 360, 20 * number - 50)
        (found,) = BlazeFace().find(frame, 100)
        errors.append(differ(FaceMesh(eyes=True).fit(frame, found).points, points)[36:48])
    assert np.median(errors, axis=0).max() < 0.03
    for eye in (slice(0, 6), slice(6, 12)):
        assert np.median(np.stack(errors)[:, eye]) < 0.016


def test_what_is_no_face_has_no_presence() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    box = np.array([100, 80, 180, 160], np.float32)
    assert FaceMesh().fit(noise, Found(box=box, score=1)).presence < 0.1


def test_only_a_mesh_can_be_followed() -> None:
    image, points = portrait(0)
    known = FacePoints(points=points)
    for model in (FaceMesh(), NoLandmarks()):
        assert model.follow(image, known) is None


def test_a_model_that_was_sent_elsewhere_finds_the_same() -> None:
    image, _ = portrait(0)
    (found,) = BlazeFace().find(image, 100)
    here, there = FaceMesh().fit(image, found), pickle.loads(pickle.dumps(FaceMesh())).fit(image, found)
    np.testing.assert_array_equal(here.points, there.points)


def test_landmark_models_have_names_of_their_own() -> None:
    models = (FaceMesh(), FaceMesh(eyes=True), NoLandmarks())
    assert len({model.fingerprint() for model in models}) == len(models)


@pytest.mark.parametrize("degrees", [90, -90])
@pytest.mark.parametrize("side", [40, 80, 240])
def test_faces_that_lie_on_their_side_are_not_read_upside_down(side: int, degrees: int) -> None:
    right = 0
    for number in range(6):
        image, points = placed(number, side, 640, 360, degrees)
        faces = BlazeFace().find(image, 38)
        if len(faces) == 1:
            fitted = FaceMesh().fit(image, faces[0])
            off = np.linalg.norm(fitted.points - points, axis=1).mean()
            assert fitted.presence < 0.5 or off < 0.08 * side, number
            right += fitted.presence >= 0.5
    assert right >= 5
