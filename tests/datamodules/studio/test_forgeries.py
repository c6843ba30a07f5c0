"""Forgeries part by part: what they change, where their landmarks are, and what they do where there is little."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from datamodules.studio.forgeries import edits
from datamodules.studio.forgeries.base import Forged, Forgery, Take, cover_groups
from datamodules.studio.forgeries.expression import reenactment
from datamodules.studio.forgeries.graft import graft, reshape
from datamodules.studio.head import Head, Light, Pose, look, render
from datamodules.studio.portrait import Portrait, make_portrait
from datamodules.studio.scene import open_camera, render_video
from datamodules.studio.shot import Shot, direct
from tests.fixtures.rendering import find_stranger

FRONT = Light(direction=np.array([0, 0, 1], np.float32), colour=np.ones(3, np.float32), ambient=1.0)


@pytest.fixture(scope="module")
def portraits() -> tuple[Portrait, Portrait]:
    return make_portrait(find_stranger(1)), make_portrait(find_stranger(2), cut=False)


@pytest.fixture(scope="module")
def shot() -> Shot:
    """Three frames: eyes open, closed, and a head that is turned."""
    whole = direct(np.random.default_rng(8), 256, 192, 3)
    one, two, three = whole.expressions
    return replace(
        whole,
        expressions=[replace(one, blink=0.0), replace(two, blink=1.0), replace(three, blink=0.0)],
        poses=[*whole.poses[:2], replace(whole.poses[2], yaw=0.3)],
    )


def take(portraits: tuple[Portrait, Portrait], shot: Shot, difficulty: float) -> Take:
    target, source = portraits
    camera = open_camera(shot)
    return Take(
        target=target,
        source=source,
        shot=shot,
        camera=camera,
        frames=list(render_video(target, shot, camera)),
        source_shot=direct(np.random.default_rng(9), 256, 192, 3),
        difficulty=difficulty,
        seed=[0, 1, 2],
    )


PARTS = [*((edits.local_edit, part) for part in edits.INSIDE), *((edits.inpaint, part) for part in edits.REMOVED)]
PARTS += [(edits.outside_edit, part) for part in edits.OUTSIDE]


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
@pytest.mark.parametrize(("edit", "part"), PARTS, ids=lambda value: getattr(value, "__name__", value))
def test_each_part_is_changed_inside_its_mask_alone_also_where_eyes_are_closed(
    edit: Forgery,
    part: str,
    difficulty: float,
    portraits: tuple[Portrait, Portrait],
    shot: Shot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edits, "draw_part", lambda take, names: part)
    given = take(portraits, shot, difficulty)
    for i, forged in enumerate(edit(given)):
        real = given.camera.shoot(given.frames[i].image, i)
        fake = forged.shoot(given.camera, i, real, difficulty)
        mask = forged.alpha > 0
        assert 0 < mask.mean() < 0.4
        assert (fake[~mask] == real[~mask]).all()
        assert (fake[mask] != real[mask]).any(-1).mean() > 0.3


def test_parts_are_drawn_from_all_there_are_and_not_by_the_sum_of_two_people(
    portraits: tuple[Portrait, Portrait], shot: Shot
) -> None:
    given = replace(take(portraits, shot, 0), frames=[])
    drawn = {
        (a, b): [edits.draw_part(replace(given, seed=[0, a, b]), names) for names in (edits.INSIDE, edits.OUTSIDE)]
        for a in range(8)
        for b in range(8)
    }
    assert {inside for inside, _ in drawn.values()} == set(edits.INSIDE)
    assert {outside for _, outside in drawn.values()} == set(edits.OUTSIDE)
    assert any(drawn[a, b] != drawn[b, a] for a, b in drawn)


@pytest.mark.parametrize("yaw", [0.0, 0.3])
@pytest.mark.parametrize("point", [30, 37, 51])
def test_landmarks_of_a_grafted_face_lie_on_the_pixels_that_they_name(
    portraits: tuple[Portrait, Portrait], yaw: float, point: int
) -> None:
    target = Head(portraits[0], 80)
    moved = target.points.copy()
    moved[:17] *= 1.1
    pose = Pose(yaw=yaw, pitch=0.05, roll=-0.05, x=128, y=100, radius=60, body=(128, 100))
    for head in (graft(target, portraits[1], 0.75), reshape(target, moved)):
        dot = np.zeros_like(head.still)
        x, y = head.pixels(head.points[point])
        cv2.circle(dot, (round(x * 16), round(y * 16)), 3 * 16, (1, 1, 1, 1), -1, cv2.LINE_AA, 4)
        # the view is that of the target, as a forgery has it
        seen = render(head, dot, look(target, pose, FRONT, 256, 208), (0, 0, 256, 208))[..., 3]
        rows, columns = np.mgrid[:208, :256]
        centre = np.array([(seen * columns).sum(), (seen * rows).sum()]) / seen.sum()
        assert np.linalg.norm(centre - head.project(head.points, pose)[point]) < 0.5


def test_landmarks_of_a_reenacted_face_move_only_where_its_pixels_are_new(
    portraits: tuple[Portrait, Portrait], shot: Shot
) -> None:
    given = take(portraits, shot, 0.1)
    for forged, frame in zip(reenactment(given), given.frames, strict=True):
        x, y = frame.points.round().astype(int).T
        old = forged.alpha[y, x] <= 0.5
        np.testing.assert_array_equal(forged.points[old], frame.points[old])
        assert (forged.points != frame.points).any()


def test_a_region_too_thin_for_its_feather_has_a_hard_edge_and_an_empty_one_leaves_the_frame(
    portraits: tuple[Portrait, Portrait], shot: Shot
) -> None:
    closed_eye = np.array([[20, 50], [50, 49], [80, 50], [50, 51]], np.float32)
    assert cover_groups((100, 100), [closed_eye], 1.0, 8.0).max() > 0.5
    camera, nothing = open_camera(shot), np.zeros((192, 256), np.float32)
    real = np.full((192, 256, 3), 90, np.uint8)
    forged = Forged(image=np.zeros((192, 256, 3), np.float32), alpha=nothing, points=np.zeros((68, 2)))
    assert (forged.shoot(camera, 0, real, 0.5) == real).all()
