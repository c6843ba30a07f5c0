"""Blending without a seam: against the equation that it solves, and a face that was moved."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from datamodules.runtime.errors import UserError
from datamodules.synthesis.face_blend import FaceBlend, blend_face
from datamodules.synthesis.seamless import align, fill, match_border
from datamodules.synthesis.warp import Warp

SIDE = 96


def smooth_faces(seed: int, b: int = 2, side: int = SIDE, cells: int = 7) -> torch.Tensor:
    """(B, 3, H, W) of soft random colours."""
    coarse = torch.rand(b, 3, cells, cells, generator=torch.Generator().manual_seed(seed))
    return 0.2 + 0.6 * torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)


def disc(radius: float, side: int = SIDE) -> torch.Tensor:
    """(1, 1, H, W) bool."""
    line = torch.arange(side) - (side - 1) / 2
    return (line[:, None] ** 2 + (1.3 * line) ** 2 < radius**2)[None, None]


def solve(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Laplace's equation within, the values around."""
    number = np.cumsum(inside.ravel()).reshape(inside.shape) - 1
    equations, right = lil_matrix((inside.sum(), inside.sum())), np.zeros(inside.sum())
    for y, x in zip(*np.nonzero(inside), strict=True):
        equations[number[y, x], number[y, x]] = 4
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if inside[v, u]:
                equations[number[y, x], number[v, u]] = -1
            else:
                right[number[y, x]] += values[v, u]
    out = values.copy()
    out[inside] = spsolve(equations.tocsr(), right)
    return out


@pytest.mark.parametrize("radius", [12.0, 30.0, 42.0])
def test_a_fill_solves_laplaces_equation_on_average_to_within_a_level(radius: float) -> None:
    inside = disc(radius)
    values = smooth_faces(0, 1, cells=20) - smooth_faces(1, 1, cells=20)
    ours = fill(values, ~inside)[0, 0].numpy()
    theirs = solve(values[0, 0].double().numpy(), inside[0, 0].numpy())
    assert np.abs(theirs - values[0, 0].numpy()).max() > 0.1
    assert np.abs(ours - theirs).max() < 6 / 255
    assert np.abs(ours - theirs)[inside[0, 0].numpy()].mean() < 1.2 / 255


def test_a_seamless_blend_is_the_solution_of_poissons_equation() -> None:
    shown, source, inside = smooth_faces(2, 1), smooth_faces(3, 1) * 0.7 + 0.1, disc(30.0)
    within = inside[0, 0].numpy()
    membrane = [solve(one, within) for one in (shown - source)[0].double().numpy()]
    theirs = np.stack(membrane) + source[0].double().numpy()
    ours = blend_face(shown[0], source[0], inside[0].float(), inside[0], (SIDE, SIDE), seamless=True).numpy()
    assert np.abs(ours - theirs)[:, within].mean() < 1.2 / 255
    plain = blend_face(shown[0], source[0], inside[0].float(), inside[0], (SIDE, SIDE)).numpy()
    assert np.abs(plain - theirs)[:, within].mean() > 10 / 255


def test_a_face_of_one_colour_leaves_no_trace_when_it_is_laid_on_another() -> None:
    shown, source = torch.full((1, 3, SIDE, SIDE), 0.6), torch.full((1, 3, SIDE, SIDE), 0.2)
    assert torch.allclose(match_border(source, shown, disc(30.0))[disc(30.0).expand_as(shown)], torch.tensor(0.6))


def test_a_mask_that_leaves_no_border_changes_no_colour() -> None:
    shown, source = smooth_faces(4, 1), smooth_faces(5, 1)
    everywhere = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
    assert torch.equal(match_border(source, shown, everywhere), source)


def test_a_face_that_was_turned_stretched_and_moved_comes_back_to_where_its_landmarks_were() -> None:
    shown = smooth_faces(6, 1, 128)
    points = 64 + 25 * torch.randn(1, 68, 2, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    linear = torch.tensor([[0.9, -0.2], [0.15, 1.1]])
    own = (points - 64) @ linear.T + torch.tensor([60.0, 70.0])
    matrix = np.concatenate([linear.numpy(), np.array([60, 70])[:, None] - linear.numpy() @ np.full((2, 1), 64.0)], 1)
    image = shown[0].permute(1, 2, 0).numpy()
    moved = cv2.warpAffine(image, matrix, (128, 128), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    source = torch.from_numpy(moved).permute(2, 0, 1)[None]
    back = align(source, own, points, torch.ones(1, 1, 128, 128, dtype=torch.bool))
    assert float((back - shown)[..., 32:96, 32:96].abs().max()) < 0.02
    assert float((source - shown)[..., 32:96, 32:96].abs().max()) > 0.1


def test_landmarks_within_the_mask_decide_where_a_face_is_laid() -> None:
    generator = torch.Generator().manual_seed(1)
    points = 20 + 56 * torch.rand(1, 68, 2, generator=generator)
    left = points[..., :1] < 48
    own = points + torch.where(left, torch.tensor([6.0, 0.0]), torch.tensor([-6.0, 0.0]))
    mask = (torch.arange(SIDE) < 48).expand(1, 1, SIDE, SIDE)
    ramp = (torch.arange(SIDE) / SIDE).expand(1, 3, SIDE, SIDE).contiguous()
    moved = (align(ramp, own, points, mask) - ramp)[0, 0, 48, 24:40].mean() * SIDE
    assert float(moved) == pytest.approx(6, abs=1.5)


def batch_of(faces: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """(B, K, 68, 2) landmarks in the middle of the images."""
    side = faces.shape[-1]
    generator = torch.Generator().manual_seed(seed)
    return side * (0.3 + 0.4 * torch.rand(*faces.shape[:2], 68, 2, generator=generator))


def test_a_seamless_pair_differs_inside_its_mask_and_nowhere_else() -> None:
    faces = torch.stack([smooth_faces(7, 6), smooth_faces(8, 6)], 1)
    torch.manual_seed(0)
    blend = FaceBlend(aligned=True, seamless=1.0, coarsest=0.4, min_side=317, feather=0.05).eval()
    out = blend.blend(faces.clone(), batch_of(faces))
    real, fake = out.pairs.float().unbind(1)
    mask = out.mask.expand_as(real)
    assert float((real - fake).abs()[mask == 0].max()) <= 1
    assert float((real - fake).abs()[mask > 0.9].mean()) > 3


def test_a_least_size_of_the_source_takes_away_what_is_fine_in_the_fake_alone() -> None:
    noise = torch.rand(8, 2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    fine = []
    for coarsest in (1.0, 0.3):
        torch.manual_seed(0)
        out = FaceBlend(coarsest=coarsest, min_side=317).eval().blend(noise.clone(), batch_of(noise))
        inside = (out.mask > 0.9).expand(-1, 3, -1, -1)
        step = (out.pairs[..., 1:].float() - out.pairs[..., :-1]).abs()
        fine.append([float(step[:, i][inside[..., 1:]].mean()) for i in range(2)])
    assert fine[0][0] == pytest.approx(fine[1][0])
    assert fine[1][1] < 0.8 * fine[0][1]


@pytest.mark.parametrize("coarsest", [0.0, 1.5])
def test_a_least_size_that_is_none_is_refused(coarsest: float) -> None:
    with pytest.raises(UserError, match=f"coarsest {coarsest:g}: must be above 0, and at most 1"):
        FaceBlend(coarsest=coarsest)


def test_a_warp_changes_a_disc_around_its_part_and_nothing_else() -> None:
    faces = smooth_faces(9, 12)[:, None]
    points = batch_of(faces)
    torch.manual_seed(0)
    out = Warp(parts=("nose",)).eval().blend(faces.clone(), points)
    real, fake = out.pairs.float().unbind(1)
    changed = (real - fake).abs().amax(1, keepdim=True) > 1
    assert not (changed & (out.mask == 0)).any()
    assert changed.flatten(1).any(1).all()
    line = torch.arange(SIDE, dtype=torch.float32)
    share = out.mask[:, 0] / out.mask.sum((2, 3))[..., None]
    middle = torch.stack([(share.sum(1) * line).sum(1), (share.sum(2) * line).sum(1)], 1)
    nose = points[:, 0, [*range(27, 36), 39, 42]].mean(1)
    assert float((middle - nose).abs().max()) < 2


def test_a_warp_zooms_or_shifts_as_far_as_it_may() -> None:
    ramp = (torch.arange(SIDE) / SIDE).expand(200, 1, 3, SIDE, SIDE).contiguous()
    points = torch.full((200, 1, 68, 2), 48.0)
    points[:, :, [31, 48], 0], points[:, :, [35, 67], 0] = 38.0, 58.0
    torch.manual_seed(0)
    out = Warp(parts=("mouth",), reach=(1.0, 1.0), zoom=(0.2, 0.2), shift=(0.1, 0.1)).eval().blend(ramp, points)
    moved = (out.pairs[:, 1, 0].float() - out.pairs[:, 0, 0])[:, 48, 48] / 255 * SIDE
    shifted = moved.abs() > 0.3
    assert 0.25 < float(shifted.float().mean()) < 0.75
    assert float(moved.abs().max()) == pytest.approx(2.0, abs=0.3)  # a tenth of the radius of 20


@pytest.mark.parametrize("given", [("ear",), ()])
def test_a_part_that_does_not_exist_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="parts"):
        Warp(parts=given)
