"""The motion of a face mesh: what its definition says of any face, and OpenCV's affine maps, triangle by triangle."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.faces.landmarks.points import MIRROR
from datamodules.studio.face import Expression
from lightning_modules.st_ddl.mesh import TRIANGLES, mesh_motion
from lightning_modules.st_ddl.motion import FlowMotion, MeshMotion, NoMotion
from tests.fixtures.rendering import face_points

SIDE = 96
seeds = st.integers(0, 2**16)
few = settings(max_examples=25, deadline=None)


def face(seed: int = 0, side: int = SIDE, shake: float = 0.004) -> torch.Tensor:
    """(68, 2) of a studio person, each point shaken by a part of the side."""
    rng = np.random.default_rng(seed)
    points = face_points(seed % 8, Expression(mouth=0.6, smile=0.1))
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
def test_one_point_moves_its_own_triangles_alone_and_less_towards_their_far_sides(seed: int, which: int) -> None:
    points = face(seed, 2 * SIDE, 0.0)
    step = torch.tensor([1.5, -1.0])
    moved = points.clone()
    moved[which] += step
    motion, inside = field(points, moved, 2 * SIDE)
    y, x = torch.meshgrid(torch.arange(2.0 * SIDE), torch.arange(2.0 * SIDE), indexing="ij")
    hat = torch.zeros(2 * SIDE, 2 * SIDE)  # how much of that point each pixel is
    place = torch.stack([x, y, torch.ones_like(x)]).double()
    for triangle, area in zip(TRIANGLES.tolist(), areas(points).tolist(), strict=True):
        if which not in triangle or area < 1:
            continue
        corners = torch.cat([points[triangle].T, torch.ones(1, 3)]).double()
        weights = torch.einsum("ij,jhw->ihw", torch.linalg.inv(corners), place)  # barycentric
        covered = (weights > -1e-3).all(0)
        hat = torch.where(covered, weights[triangle.index(which)].float(), hat)
    difference = (motion - hat * step[:, None, None])[:, inside].abs().amax(0)
    assert hat[inside].max() > 0.3
    assert float(difference.quantile(0.999)) < 0.02
    assert not motion[:, inside & (hat == 0)].abs().gt(0.02).any()


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
    points = face(seed, 2 * SIDE, 0.0)
    flat = points.clone()
    flat[61] = flat[50]  # two landmarks in one place, as integers often have them
    linear = torch.tensor([[1.05, 0.02], [-0.03, 0.96]])
    motion, inside = field(flat, flat @ linear.T, 2 * SIDE)
    outline = flat[[*range(17), *range(26, 16, -1)]].numpy()
    assert inside.sum() == pytest.approx(cv2.contourArea(outline), rel=0.02)
    y, x = inside.nonzero(as_tuple=True)
    place = torch.stack([x, y], 1).float()
    torch.testing.assert_close(motion[:, inside].T, place @ linear.T - place, rtol=0, atol=2e-3)


def clips(seed: int = 0, count: int = 3, length: int = 4, side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    points = torch.stack([torch.stack([face(seed + 10 * i, side) for _ in range(length)]) for i in range(count)])
    points += torch.from_numpy(rng.normal(0, 0.01 * side, points.shape)).float()
    return torch.rand(count, length, 3, side, side, generator=torch.Generator().manual_seed(seed)), points


@pytest.mark.parametrize("motion", [MeshMotion(), MeshMotion(mesh_channel=True), FlowMotion(), NoMotion()])
def test_no_clip_knows_of_another(motion: MeshMotion) -> None:
    frames, points = clips()
    together = motion(frames, points)
    assert together.shape == (3, 3, motion.channels, SIDE, SIDE)
    order = [2, 0, 1]
    assert torch.equal(motion(frames[order], points[order]), together[order])
    assert torch.equal(motion(frames[1:2], points[1:2]), together[1:2])


def test_a_face_twice_as_large_that_moves_twice_as_far_has_the_same_field() -> None:
    frames, points = clips()
    small = MeshMotion(mesh_channel=True)(frames, points)
    large = MeshMotion(mesh_channel=True)(torch.rand(3, 4, 3, 2 * SIDE, 2 * SIDE), 2 * points)
    both = (small[:, :, 2] == 1) & (large[:, :, 2, ::2, ::2] == 1)
    difference = (large[:, :, :2, ::2, ::2] - small[:, :, :2]).abs().amax(2)[both]
    assert float(difference.quantile(0.99)) < 1e-3


def test_where_the_mesh_is_folded_the_last_triangle_is_seen() -> None:
    points = face(3, 2 * SIDE, 0.0)
    points[30] -= torch.tensor([60.0, 0.0])  # the tip of the nose over the cheek
    motion, _ = field(points, points + torch.arange(68)[:, None] / 10, 2 * SIDE)
    whole = [t for t in range(len(TRIANGLES)) if abs(areas(points)[t]) > 1]
    several = 0
    for y, x in torch.cartesian_prod(torch.arange(60, 150, 3), torch.arange(30, 150, 3)).tolist():
        depth = [cv2.pointPolygonTest(points[TRIANGLES[t]].numpy()[:, None], (x, y), True) for t in whole]
        over = [t for t, d in zip(whole, depth, strict=True) if d > 0]
        if len(over) > 1 and min(map(abs, depth)) > 0.05:  # no edge so near that rounding decides
            several += 1
            here = points[TRIANGLES[over[-1]]].numpy()
            there = here + TRIANGLES[over[-1]].numpy()[:, None] / 10
            expected = cv2.getAffineTransform(here, there.astype(np.float32)) @ [x, y, 1] - [x, y]
            assert np.abs(motion[:, y, x].numpy() - expected).max() < 0.02
    assert several > 20


def test_a_face_that_moves_is_seen_where_it_was_in_units_of_its_eyes() -> None:
    here = face()
    points = torch.stack([here, here + torch.tensor([3.0, -2.0])])[None]
    [[(right, down, inside)]] = MeshMotion(scale=0.02, mesh_channel=True)(torch.zeros(1, 2, 3, SIDE, SIDE), points)
    apart = 0.02 * float((here[36] - here[45]).norm())
    assert torch.equal(inside == 1, field(here, here)[1])
    torch.testing.assert_close(right, 3 / apart * inside, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(down, -2 / apart * inside, rtol=1e-4, atol=1e-4)


def test_maps_made_a_few_at_once_are_those_made_together(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, points = clips()
    together = MeshMotion()(frames, points)
    monkeypatch.setattr("lightning_modules.st_ddl.motion.PIXELS", 2 * SIDE * SIDE)
    assert torch.equal(MeshMotion()(frames, points), together)


def test_flow_follows_a_image_that_shifts() -> None:
    image = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 3)
    image = (image - image.min()) / (image.max() - image.min())
    shifted = np.roll(image, 2, 1)
    frames = torch.from_numpy(np.stack([image, shifted]))[None, :, None].expand(1, 2, 3, SIDE, SIDE)
    points = face()[None, None].expand(1, 2, 68, 2)
    motion = FlowMotion(scale=1.0)(frames, points) * float((points[0, 0, 36] - points[0, 0, 45]).norm())
    inside = MeshMotion(mesh_channel=True)(frames, points)[0, 0, 2] == 1
    assert float(motion[0, 0, 0][inside].median()) == pytest.approx(2, abs=0.2)
    assert not motion[0, 0, :, ~inside].any()
