"""Face X-ray's blending: each step against somebody else's code, and where the face that is blended in comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.color import rgb_to_hsv
from matplotlib.tri import LinearTriInterpolator, Triangulation

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.loading.sampling import Address
from datamodules.runtime.errors import UserError
from datamodules.synthesis.face_blend import FaceBlend, blend_face
from datamodules.synthesis.feather import GRID, bend, dilate, erode, feather
from datamodules.synthesis.hull import hull_mask
from datamodules.synthesis.nearest_faces import WithSources, find_nearest


def hulls(seed: int, b: int = 4, side: int = 96) -> torch.Tensor:
    """(B, 1, H, W) bool, convex."""
    generator = torch.Generator().manual_seed(seed)
    points = side * (0.15 + 0.7 * torch.rand(b, 68, 2, generator=generator))
    return hull_mask(points, "all", side, side)[:, None]


def test_the_bend_is_linear_in_each_triangle_as_matplotlib_computes_it() -> None:
    generator = torch.Generator().manual_seed(0)
    jitter = 0.05 * torch.randn(1, 2, GRID, GRID, generator=generator)
    line = np.linspace(0, 1, GRID)
    x, y = (v.ravel() for v in np.meshgrid(line, line))
    triangles = []
    for i in range(GRID - 1):
        for j in range(GRID - 1):
            a = i * GRID + j
            triangles += [[a, a + 1, a + GRID], [a + 1, a + GRID + 1, a + GRID]]
    mesh = Triangulation(x, y, triangles)
    side = 64
    inner = np.linspace(0, 1, side).clip(1e-9, 1 - 1e-9)  # on its outermost edges matplotlib sees no triangle
    grid = np.meshgrid(inner, inner)
    where = []
    for own, moved in ((x, jitter[0, 0]), (y, jitter[0, 1])):
        target = (own + moved.numpy().ravel()).clip(0, 1)
        where.append(LinearTriInterpolator(mesh, target)(*grid).filled(np.nan).astype(np.float32) * (side - 1))
    image = np.random.default_rng(0).random((side, side)).astype(np.float32)
    theirs = cv2.remap(image, where[0], where[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    ours = bend(torch.from_numpy(image)[None, None], jitter)[0, 0].numpy()
    assert np.abs(ours - theirs).max() < 0.04  # OpenCV rounds places to a 32nd of a pixel


@given(st.integers(0, 100), st.lists(st.integers(0, 12).map(lambda n: 2 * n + 1), min_size=3, max_size=3))
@settings(max_examples=20, deadline=None)
def test_wearing_away_and_growing_are_those_of_opencv(seed: int, sides: list[int]) -> None:
    mask = torch.rand(3, 1, 40, 50, generator=torch.Generator().manual_seed(seed)) < 0.5
    for ours, theirs in ((erode(mask, sides), cv2.erode), (dilate(mask, sides), cv2.dilate)):
        for one, before, side in zip(ours, mask, sides, strict=True):
            expected = theirs(before[0].numpy().astype(np.uint8), np.ones((side, side), np.uint8))
            assert np.array_equal(one[0].numpy(), expected > 0)


def mask_of(side: int = 317, b: int = 8, **options: Any) -> torch.Tensor:
    """(B, 1, H, W) bool of the same faces and draws, blended at their own size."""
    points = side * (0.15 + 0.7 * torch.rand(b, 68, 2, generator=torch.Generator().manual_seed(0)))
    torch.manual_seed(1)
    unchanged: dict[str, Any] = {"displacement": (0.0, 0.0), "max_erosion": 1, "max_dilation": 1}
    return FaceBlend(**unchanged | options).mask(points, torch.ones(b), side, side)


def test_half_of_the_masks_are_worn_away_and_the_others_grow_as_far_as_each_may() -> None:
    plain, worn, grown = mask_of(), mask_of(max_erosion=21), mask_of(max_dilation=5)
    assert (worn <= plain).all()
    assert (grown >= plain).all()
    fewer = (worn != plain).flatten(1).any(1)
    more = (grown != plain).flatten(1).any(1)
    assert fewer.any()
    assert more.any()
    assert not (fewer & more).any()


def test_a_bent_mask_leaves_out_pixels_that_are_covered_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = mask_of()
    cover = torch.where(torch.arange(317) < 158, 1.0, 0.9)
    monkeypatch.setattr("datamodules.synthesis.face_blend.bend", lambda hull, jitter: hull * cover)
    assert (mask_of() == plain & (cover == 1)).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_feather_is_the_distance_to_the_hull_that_opencv_measures(seed: int) -> None:
    masks = hulls(seed, 2, 256)
    for mask, weight in zip(masks, feather(masks, 0.2), strict=True):
        points = cv2.findNonZero(mask[0].numpy().astype(np.uint8))
        outline = cv2.convexHull(points)
        _, _, wide, high = cv2.boundingRect(points)
        extent = max(wide, high) - 1
        theirs = np.array(
            [[cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x in range(256)] for y in range(256)]
        )
        assert np.abs(weight[0].numpy() - (theirs / (0.2 * extent)).clip(0, 1)).max() < 0.02


def test_the_source_gets_the_mean_colour_that_the_face_has_within_the_mask() -> None:
    generator = torch.Generator().manual_seed(0)
    shown, source = (0.3 + 0.2 * torch.rand(3, 48, 48, generator=generator) for _ in range(2))
    source = source + 0.2
    mask = torch.zeros(1, 48, 48, dtype=torch.bool)
    mask[:, 10:30, 12:40] = True
    out = blend_face(shown, source, mask.float(), mask, (48, 48))
    torch.testing.assert_close(out[:, mask[0]].mean(1), shown[:, mask[0]].mean(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(out[:, ~mask[0]], shown[:, ~mask[0]])
    assert torch.allclose(out[:, mask[0]] - out[:, mask[0]].mean(1, keepdim=True),
                          source[:, mask[0]] - source[:, mask[0]].mean(1, keepdim=True), atol=1e-5)  # fmt: skip


def test_the_nearest_faces_are_those_of_a_loop_over_all() -> None:
    generator = torch.Generator().manual_seed(0)
    candidates = torch.rand(68, 5000, 2, generator=generator)
    owner = torch.randint(50, (5000,), generator=generator)
    points, video = torch.rand(3, 68, 2, generator=generator), torch.tensor([0, 7, 49])
    found = find_nearest(points, video, candidates, owner, 30)
    for query, mine, rows in zip(points.numpy(), video.tolist(), found, strict=True):
        total = np.linalg.norm(candidates.numpy().transpose(1, 0, 2) - query, axis=2).sum(1)
        total[owner.numpy() == mine] = np.inf
        assert rows.tolist() == np.argsort(total)[:30].tolist()


def data_of(prepared: Path, **options: object) -> FaceData:
    given = {"image_size": 64, "batch_size": 8, "num_workers": 0, "synthesis": FaceBlend()} | options
    return FaceData(prepared=prepared, **given)  # type: ignore[arg-type]


def first(data: FaceData) -> Batch:
    batch: Batch = next(iter(data.train_dataloader()))
    return batch


def test_a_source_is_of_another_video_and_the_workers_do_not_decide_which(prepared: Path) -> None:
    alone, workers = first(data_of(prepared)), first(data_of(prepared, num_workers=2))
    assert len(alone) == 16
    assert alone.video == workers.video
    assert torch.equal(alone.frames, workers.frames)
    assert all(shown != source for shown, source in zip(alone.video[:8], alone.video[8:], strict=True))
    assert not alone.label.any()


def test_another_epoch_draws_another_source_of_the_same_face(prepared: Path) -> None:
    data = data_of(prepared)
    clips = data.train_dataloader().dataset
    assert isinstance(clips, WithSources)
    address = Address(0, (int(clips.clips.starts(0)[0]),))
    drawn = {clips.source([address._replace(epoch=epoch)])[0] for epoch in range(20)}
    assert len(drawn) > 5
    assert drawn == {clips.source([address._replace(epoch=epoch)])[0] for epoch in range(20)}


def test_a_pair_differs_inside_its_mask_and_nowhere_else(prepared: Path) -> None:
    data = data_of(prepared)
    batch = data.on_after_batch_transfer(first(data), 0)
    torch.manual_seed(0)
    out = FaceBlend(downscale=0.0, min_side=317)(batch)
    assert out.label.tolist() == [0] * 8 + [1] * 8
    assert out.video == batch.video[:8] + [f"{name}#blended" for name in batch.video[:8]]
    real, fake = out.frames.chunk(2)
    mask = out.mask.chunk(2)[1]
    assert float((real - fake).abs()[(mask == 0).expand_as(real)].max()) < 2 / 255
    assert float((real - fake).abs()[(mask > 0.9).expand_as(real)].mean()) > 0.01
    assert (mask.flatten(1).amax(1) > 0).all()


def test_real_and_fake_of_a_pair_are_made_coarse_alike() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 64, 64)
    real, fake = FaceBlend(downscale=1.0, min_downscaled_side=64).coarsen(images, images)
    assert (real == fake).all()
    assert ((real - images).abs().flatten(1).amax(1) > 0.05).all()


def test_another_camera_turns_the_hue_to_either_side() -> None:
    camera = FaceBlend(colour=1.0, light=0.0, jpeg=0.0)
    orange = torch.tensor([0.7, 0.45, 0.2])[:, None, None].expand(3, 16, 16)
    hue = float(rgb_to_hsv(orange)[0].mean())
    torch.manual_seed(0)
    turns = torch.tensor([float(rgb_to_hsv(camera.change_colours(orange))[0].mean()) - hue for _ in range(100)])
    turns = (turns + torch.pi) % (2 * torch.pi) - torch.pi
    assert 0.3 < float((turns > 0).float().mean()) < 0.7
    assert 0.8 < float(turns.abs().amax()) / (0.2 * 2 * torch.pi) < 1.2


def test_without_training_the_face_that_is_shown_stays_as_it_is(prepared: Path) -> None:
    data = data_of(prepared, synthesis=FaceBlend(downscale=0.0))
    batch = data.on_after_batch_transfer(first(data), 0)
    before = (batch.frames[:8] * 255).round()
    assert data.synthesis is not None
    out = data.synthesis.eval()(batch)
    assert float((out.frames[:8] * 255 - before).abs().max()) <= 1


def test_videos_and_a_single_video_are_refused(prepared: Path) -> None:
    with pytest.raises(UserError, match="looked for among stored crops; set 'frame_source: crops'"):
        data_of(prepared, frame_source="videos", root=prepared)
    data = data_of(prepared)
    clips = data.clips("train")
    clips.known.owner[:] = 0
    with pytest.raises(UserError, match="the faces of a single video; a source is of another one"):
        WithSources(clips, 30, 100, 0)  # type: ignore[arg-type]
