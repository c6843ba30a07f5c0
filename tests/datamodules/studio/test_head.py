"""A photograph in motion: what the mesh, the depth and the projection promise."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from datamodules.faces.landmarks.points import INNER_LIPS
from datamodules.studio.face import LIDS, Expression, Mesh
from datamodules.studio.head import Head, Pose
from datamodules.studio.portrait import Portrait, make_grid, make_portrait
from datamodules.studio.shot import TURN, direct
from tests.fixtures.rendering import find_stranger, render_person

FRONT = Pose(yaw=0, pitch=0, roll=0, x=128, y=96, radius=50, body=(128, 96))


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return make_portrait(find_stranger(3))


@pytest.fixture(scope="module")
def head(portrait: Portrait) -> Head:
    return Head(portrait, 60)


def folds(head: Head, yaw: float) -> float:
    """The least area of a piece of the face in the frame over that in the photograph; below 0 it is turned over."""
    at = make_grid(20, *(int(v) for v in (46, 28, 86, 70)))  # half face widths from -1 to 1 and from -1 to 1.1
    shown = head.project(at, replace(FRONT, yaw=yaw)) / FRONT.radius
    dx, dy = np.gradient(shown, 1 / 20, axis=(1, 0))
    return float((dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]).min())


def test_no_part_of_a_face_folds_over_another_within_the_turns_that_shots_make(head: Head) -> None:
    assert min(folds(head, yaw) for yaw in (-TURN, 0.0, TURN)) > 0.1
    assert folds(head, 1.1) < 0  # the reason for a limit
    poses = [pose for seed in range(40) for pose in direct(np.random.default_rng(seed), 256, 192, 48).poses]
    turns = np.array([[pose.yaw, pose.pitch, pose.roll] for pose in poses])
    assert 0.25 < np.abs(turns[:, 0]).max() <= TURN
    assert np.abs(turns[:, 1:]).max() <= 0.2


@pytest.mark.parametrize("yaw", [-TURN, 0.0, TURN])
def test_what_a_pixel_shows_is_projected_back_onto_that_pixel(head: Head, yaw: float) -> None:
    pose = replace(FRONT, yaw=yaw, pitch=0.1, roll=-0.1)
    pixels = np.stack(np.meshgrid(np.arange(70, 190, 5), np.arange(40, 190, 5)), -1).astype(np.float32)
    error = np.linalg.norm(head.project(head.unproject(pose, pixels), pose) - pixels, axis=-1)
    assert error.max() < 0.1


def test_the_mesh_carries_landmarks_exactly_and_leaves_the_rest_alone(portrait: Portrait) -> None:
    mesh, still = Mesh(portrait.points), portrait.points
    smiling = still + portrait.smile
    scale = 100
    (x0, y0), (x1, y1) = ((p - (-3.3, -2.4)) * scale for p in (mesh.ring.min(0) - 0.2, mesh.ring.max(0) + 0.2))
    at = make_grid(scale, int(x0), int(y0), int(x1), int(y1))
    back = mesh.find_source(still, smiling, at)
    for point in (8, 30, 33, 48, 54, 51):
        nearest = np.linalg.norm(at - smiling[point], axis=-1).argmin()
        from_where = back.reshape(-1, 2)[nearest]
        assert np.linalg.norm(from_where - still[point]) < 0.03
    corner = back[:5, :5] - at[:5, :5]
    assert np.abs(corner).max() < 1e-5


@pytest.mark.parametrize("number", range(6))
def test_no_pixel_comes_from_afar_however_thin_triangles_become(number: int) -> None:
    one = make_portrait(find_stranger(number), cut=False)
    head = Head(one, 70)
    for expression in direct(np.random.default_rng(number), 256, 192, 48).expressions[::4]:
        target = head.express(expression)
        for source in (head.points, head.points + head.smile):
            moved = one.mesh.find_source(source, target, head.coarse) - head.coarse
            assert np.linalg.norm(moved, axis=-1).max() < np.linalg.norm(target - source, axis=-1).max() + 0.15


def test_lids_close_lips_part_and_the_smile_is_that_of_the_photograph(portrait: Portrait, head: Head) -> None:
    still = head.express(Expression())
    np.testing.assert_allclose(still, portrait.points, atol=1e-5)
    np.testing.assert_allclose(head.express(Expression(smile=1)), portrait.points + portrait.smile, atol=1e-5)
    closed = head.express(Expression(blink=1))
    for upper, lower in LIDS:
        opening = np.linalg.norm(still[upper] - still[lower])
        assert np.linalg.norm(closed[upper] - closed[lower]) < 0.1 * opening
    speaking = head.express(Expression(mouth=1))[[*INNER_LIPS]]
    assert speaking[6, 1] - speaking[2, 1] > 0.15
    assert np.abs(head.express(Expression(mouth=1))[[27, 36, 45]] - still[[27, 36, 45]]).max() == 0


def test_an_eye_that_closes_shows_skin_and_one_that_looks_aside_moves_its_iris(head: Head) -> None:
    x0, y0 = head.pixels(head.points[36:42].min(0)).astype(int)
    x1, y1 = head.pixels(head.points[36:42].max(0)).astype(int) + 1
    eye = {
        name: head.texture(expression)[y0:y1, x0:x1, :3].mean(-1)
        for name, expression in (
            ("open", Expression()),
            ("closed", Expression(blink=1)),
            ("left", Expression(gaze=(-1, 0))),
            ("right", Expression(gaze=(1, 0))),
        )
    }
    lid = float(np.median(head.texture(Expression())[y0 - 6 : y0 - 2, x0:x1, :3]))
    rows, columns = (slice(size // 3, size // 3 + 3) for size in eye["open"].shape)  # above the edge of the closed lid
    assert abs(eye["closed"][rows, columns].mean() - lid) < 0.5 * abs(eye["open"][rows, columns].mean() - lid)
    middle = slice(eye["open"].shape[1] // 2 - 4, eye["open"].shape[1] // 2 + 5)

    def shift(name: str) -> int:
        """By how many pixels the middle of the eye has moved."""
        off = {s: np.abs(eye[name][:, middle] - np.roll(eye["open"], s, 1)[:, middle]).mean() for s in range(-5, 6)}
        return min(off, key=lambda s: off[s])

    assert shift("left") < 0 < shift("right")


def test_landmarks_of_a_video_move_as_its_pixels_do() -> None:
    images, points = render_person(5, 24)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    firm = [27, 28, 31, 35, 36, 39, 42, 45]  # corners and edges that optical flow can hold on to
    error = []
    for i in range(0, 20, 4):
        start = points[i, firm].astype(np.float32)
        found, ok, _ = cv2.calcOpticalFlowPyrLK(grey[i], grey[i + 4], start[:, None], None, winSize=(15, 15))
        error += list(np.linalg.norm(found[:, 0] - points[i + 4, firm], axis=1)[ok[:, 0] == 1])
    assert np.median(error) < 0.7
