"""The motion of a face mesh: what its definition says of any face, and OpenCV's affine maps, triangle by triangle."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.augment import MIRROR
from datamodules.studio.head import Expression, landmarks
from datamodules.studio.identity import draw
from lightning_modules.st.mesh import TRIANGLES, mesh_motion
from lightning_modules.st.motion import FlowMotion, MeshMotion, NoMotion

SIDE = 96
seeds = st.integers(0, 2**16)
few = settings(max_examples=25, deadline=None)


def face(seed: int = 0, side: int = SIDE, shake: float = 0.004) -> torch.Tensor:
    """(68, 2) of a studio person, each point shaken by a part of the side."""
    rng = np.random.default_rng(seed)
    points = landmarks(draw(rng), Expression(mouth=0.6, blink=0.0, smile=0.1))
    points = points * side * 0.36 + side * np.array([0.5, 0.45])
    return torch.from_numpy(points + rng.normal(0, shake * side, points.shape)).float()


def field(points: torch.Tensor, moved: torch.Tensor, side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor]:
    """(2, H, W) motion and (H, W) whether within the mesh."""
    [out] = mesh_motion(points[None], moved[None], side, side)
    return out[:2], out[2] == 1


def areas(points: torch.Tensor) -> torch.Tensor:
    a, b, c = points[TRIANGLES].unbind(1)
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


def test_the_triangles_use_all_points_fill_the_outline_once_and_are_their_own_mirror_image() -> None:
    assert set(TRIANGLES.flatten().tolist()) == set(range(68))
    assert len(TRIANGLES) == 2 * 68 - 2 - 27
    edges: dict[frozenset[int], int] = {}
    for triangle in TRIANGLES.tolist():
        for i in range(3):
            edge = frozenset((triangle[i], triangle[(i + 1) % 3]))
            edges[edge] = edges.get(edge, 0) + 1
    outline = [*range(17), *range(26, 16, -1)]
    assert {edge for edge, count in edges.items() if count == 1} == {
        frozenset(pair) for pair in zip(outline, outline[1:] + outline[:1], strict=True)
    }
    assert max(edges.values()) == 2
    assert {frozenset(t) for t in TRIANGLES.tolist()} == {frozenset(MIRROR[i] for i in t) for t in TRIANGLES.tolist()}


@given(seeds)
@few
def test_a_still_face_does_not_move_at_all(seed: int) -> None:
    motion, inside = field(face(seed), face(seed))
    assert not motion.any()
    outline = face(seed)[[*range(17), *range(26, 16, -1)]].numpy()
    assert inside.sum() == pytest.approx(cv2.contourArea(outline), rel=0.02)


@given(seeds, st.floats(-9, 9), st.floats(-9, 9))
@few
def test_a_face_that_is_carried_off_moves_the_same_everywhere(seed: int, right: float, down: float) -> None:
    step = torch.tensor([right, down])
    motion, inside = field(face(seed), face(seed) + step)
    torch.testing.assert_close(motion[:, inside].T, step.expand(int(inside.sum()), 2), rtol=0, atol=2e-5)
    assert not motion[:, ~inside].any()


@given(seeds)
@few
def test_any_affine_motion_is_found_to_a_thousandth_of_a_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    linear, shift = rng.normal(0, 0.15, (2, 2)) + np.eye(2), rng.normal(0, 5, 2)
    points = face(seed)
    motion, inside = field(points, points @ torch.from_numpy(linear.T).float() + torch.from_numpy(shift).float())
    y, x = inside.nonzero(as_tuple=True)
    place = torch.stack([x, y], 1).double().numpy()
    assert np.abs(motion[:, inside].T.numpy() - (place @ linear.T + shift - place)).max() < 1e-3


def test_each_triangle_moves_as_opencv_says() -> None:
    points = face(1, 256, 0.0)
    moved = points + torch.from_numpy(np.random.default_rng(2).normal(0, 2, (68, 2))).float()
    motion, _ = field(points, moved, 256)
    assert (areas(points) > -1).all()
    seen = 0
    for triangle in TRIANGLES[areas(points) > 1].tolist():
        here, there = points[triangle].numpy(), moved[triangle].numpy()
        matrix = cv2.getAffineTransform(here, there)
        low, high = np.floor(here.min(0)).astype(int), np.ceil(here.max(0)).astype(int)
        for y in range(low[1], high[1] + 1):
            for x in range(low[0], high[0] + 1):
                if cv2.pointPolygonTest(here[:, None], (x, y), True) > 0.05:
                    seen += 1
                    expected = matrix @ [x, y, 1] - [x, y]
                    assert np.abs(motion[:, y, x].numpy() - expected).max() < 5e-3
    assert seen > 10_000


@given(seeds, st.integers(0, 67))
@few
def test_one_point_moves_its_own_triangles_and_nothing_jumps_at_their_edges(seed: int, which: int) -> None:
    points = face(seed)
    moved = points.clone()
    moved[which] += torch.tensor([1.5, -1.0])
    motion, inside = field(points, moved)
    own = {t for t, corners in enumerate(TRIANGLES.tolist()) if which in corners}
    mine = torch.zeros_like(inside)
    for t in range(len(TRIANGLES)):
        if t in own and areas(points)[t].abs() >= 1:
            only = points[TRIANGLES[t]]
            y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
            p = torch.stack([x, y], -1).float()
            a, b, c = only
            side = [(v - u)[0] * (p - u)[..., 1] - (v - u)[1] * (p - u)[..., 0] for u, v in ((a, b), (b, c), (c, a))]
            mine |= torch.stack(side).sign().sum(0).abs() >= 2.9
            mine |= (torch.stack(side).min(0).values.abs() < 0.5) & inside
    assert not motion[:, ~mine].any()
    assert float(motion.norm(dim=0).max()) <= float(torch.tensor([1.5, -1.0]).norm()) + 1e-3


@given(seeds)
@few
def test_the_mirror_image_moves_the_other_way(seed: int) -> None:
    points, moved = face(seed), face(seed) + torch.from_numpy(np.random.default_rng(seed).normal(0, 1, (68, 2))).float()
    motion, inside = field(points, moved)

    def mirrored(p: torch.Tensor) -> torch.Tensor:
        return (p * torch.tensor([-1, 1]) + torch.tensor([SIDE - 1, 0]))[MIRROR]

    other, within = field(mirrored(points), mirrored(moved))
    both = within & inside.flip(-1)
    assert both.sum() > 0.99 * inside.sum()
    back = motion.flip(-1) * torch.tensor([-1, 1])[:, None, None]
    close = ((other - back).abs().amax(0) < 1e-2)[both]
    assert close.float().mean() > 0.995  # but for pixels that lie on an edge


@given(seeds)
@few
def test_a_flat_triangle_changes_its_own_pixels_alone(seed: int) -> None:
    points = face(seed)
    moved = points + torch.tensor([2.0, 1.0])
    flat = points.clone()
    flat[61] = flat[50]  # two landmarks in one place, as integers often have them
    motion, inside = field(flat, flat + torch.tensor([2.0, 1.0]))
    assert torch.isfinite(motion).all()
    torch.testing.assert_close(
        motion[:, inside].T, (moved - points)[:1].expand(int(inside.sum()), 2), rtol=0, atol=1e-4
    )


def clips(seed: int = 0, count: int = 3, length: int = 4, side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    points = torch.stack([torch.stack([face(seed + 10 * i, side) for _ in range(length)]) for i in range(count)])
    points += torch.from_numpy(rng.normal(0, 0.01 * side, points.shape)).float()
    return torch.rand(count, length, 3, side, side, generator=torch.Generator().manual_seed(seed)), points


@pytest.mark.parametrize("motion", [MeshMotion(), MeshMotion(inside=True), FlowMotion(), NoMotion()])
def test_no_clip_knows_of_another(motion: MeshMotion) -> None:
    frames, points = clips()
    together = motion(frames, points)
    assert together.shape == (3, 3, motion.channels, SIDE, SIDE)
    order = [2, 0, 1]
    assert torch.equal(motion(frames[order], points[order]), together[order])
    assert torch.equal(motion(frames[1:2], points[1:2]), together[1:2])


def test_a_face_twice_as_large_that_moves_twice_as_far_has_the_same_field() -> None:
    frames, points = clips()
    small = MeshMotion(inside=True)(frames, points)
    large = MeshMotion(inside=True)(torch.rand(3, 4, 3, 2 * SIDE, 2 * SIDE), 2 * points)
    both = (small[:, :, 2] == 1) & (large[:, :, 2, ::2, ::2] == 1)
    difference = (large[:, :, :2, ::2, ::2] - small[:, :, :2]).abs().amax(2)[both]
    assert float(difference.quantile(0.99)) < 1e-3


def test_where_the_mesh_is_folded_the_same_triangle_is_seen_each_time() -> None:
    points = face(3)
    points[30] += torch.tensor([-30.0, 0.0])  # the nose over the cheek
    moved = points + torch.from_numpy(np.random.default_rng(0).normal(0, 2, (68, 2))).float()
    assert (areas(points) < 0).any()
    first = field(points, moved)[0]
    assert all(torch.equal(field(points, moved)[0], first) for _ in range(5))


def test_flow_follows_a_picture_that_shifts() -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 3)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    shifted = np.roll(picture, 2, 1)
    frames = torch.from_numpy(np.stack([picture, shifted]))[None, :, None].expand(1, 2, 3, SIDE, SIDE)
    points = face()[None, None].expand(1, 2, 68, 2)
    motion = FlowMotion(scale=1.0)(frames, points) * float((points[0, 0, 36] - points[0, 0, 45]).norm())
    inside = MeshMotion(inside=True)(frames, points)[0, 0, 2] == 1
    assert float(motion[0, 0, 0][inside].median()) == pytest.approx(2, abs=0.2)
    assert not motion[0, 0, :, ~inside].any()
