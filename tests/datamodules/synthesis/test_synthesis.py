"""Pseudo-fakes: each step against OpenCV with the same numbers, and what a batch of them must be."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_lightning import Trainer

from datamodules.augment.photometric import coarsen, sharpen
from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.prepared import checksums
from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import WHOLE, Framing
from datamodules.synthesis.hull import COMPONENTS, FULL, KINDS, hull_mask, lifted_brows
from datamodules.synthesis.self_blend import SelfBlend
from datamodules.synthesis.soft_mask import bend_elastically, soften
from lightning_modules.classifier import Classifier
from lightning_modules.laa_net.method import PUBLISHED
from lightning_modules.laa_net.targets import find_vulnerable
from tests.fixtures.recorder import KeptFaces

Mask = NDArray[np.uint8]


@pytest.fixture(scope="module")
def landmarks(prepared: Path) -> torch.Tensor:
    """(B, 68, 2) of faces of 256 pixels."""
    data = FaceData(prepared=prepared, image_size=256, batch_size=16, num_workers=0)
    points: torch.Tensor = next(iter(data.test_dataloader())).landmarks[:, 0]
    return points


def opencv(points: NDArray[np.int32], groups: list[list[int]]) -> Mask:
    out = np.zeros((256, 256), np.uint8)
    for group in groups:
        cv2.fillConvexPoly(out, cv2.convexHull(points[group]), (1,))
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_hulls_are_those_that_opencv_draws_but_for_the_outline(kind: str, landmarks: torch.Tensor) -> None:
    masks = hull_mask(landmarks, kind, 256, 256).numpy()
    points = landmarks.long()
    if kind == "extended":
        points[:, 17:27] = lifted_brows(points)
    groups = {"full": FULL, "extended": FULL, "components": COMPONENTS}.get(kind, [[*range(68)]])
    for mask, p in zip(masks, points.numpy().astype(np.int32), strict=True):
        drawn = opencv(p, groups)
        assert (mask != drawn).mean() < 0.002
        thick = cv2.dilate(drawn, np.ones((3, 3), np.uint8)) - cv2.erode(drawn, np.ones((3, 3), np.uint8))
        assert not ((mask != drawn) & (thick == 0)).any()  # never more than a pixel off


def by_opencv(mask: Mask, size: tuple[int, int], erode: int, feather: int, sigma: float) -> NDArray[np.float32]:
    small = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(small, (erode, erode), 0)
    soft = (soft / soft.max() >= 1).astype(np.float32)
    soft = cv2.GaussianBlur(soft, (feather, feather), sigma)
    out: NDArray[np.float32] = cv2.resize(soft / soft.max(), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return out


def test_softened_masks_are_those_of_opencv(landmarks: torch.Tensor) -> None:
    rng = np.random.default_rng(0)
    hulls = hull_mask(landmarks, "full", 256, 256)
    b = len(hulls)
    scale = torch.from_numpy(np.round(rng.uniform(0.8, 1.25, (b, 2)) * 256) / 256).float()
    erode, feather = (torch.from_numpy(2 * rng.integers(2, 13, b) + 1) for _ in range(2))
    sigma = torch.from_numpy(rng.uniform(5, 45, b)).float()
    ours = soften(hulls[:, None].float(), scale, erode, feather, sigma)[:, 0].numpy()
    for i, hull in enumerate(hulls.numpy().astype(np.uint8)):
        size = tuple(round(float(s) * 256) for s in scale[i])
        theirs = by_opencv(hull, (size[0], size[1]), int(erode[i]), int(feather[i]), float(sigma[i]))
        difference = np.abs(ours[i] - theirs)
        assert difference.mean() < 2e-3
        assert np.quantile(difference, 0.999) < 0.05  # where a single pixel more is worn away


def test_kernels_grow_with_the_face(landmarks: torch.Tensor) -> None:
    """At 384 pixels those of 25 are of 37."""
    hull = hull_mask(landmarks * 1.5, "full", 384, 384)[:, None].float()
    ones = torch.ones(len(hull))
    for side in (25, 37):
        ours = soften(hull, torch.ones(len(hull), 2), ones * side, ones, ones, kernel=37)[:, 0].numpy()
        for mask, whole in zip(ours, hull[:, 0].numpy(), strict=True):
            theirs = cv2.erode(whole, np.ones((side, side)), borderType=cv2.BORDER_REFLECT_101)
            assert np.abs(mask - theirs).mean() < 1e-3


def test_the_elastic_change_moves_by_the_known_deviation() -> None:
    """Noise from -1 to 1, blurred by 7 pixels and times 50: 1.16 pixels, by the variance of a blurred noise."""
    torch.manual_seed(0)
    moved = bend_elastically(2 * torch.rand(64, 2, 64, 64) - 1, 50.0, 7.0, 256, 256) * 255 / 2
    expected = 50 / np.sqrt(3) / (2 * np.sqrt(np.pi) * 7)
    assert float(moved.std()) == pytest.approx(expected, rel=0.08)


def test_sharpening_and_coarsening_are_those_of_opencv() -> None:
    pixels = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    kernel = np.full((3, 3), -1, np.float32)
    kernel[1, 1] = 8 + 0.7
    mixed = 0.7 * np.eye(3)[1][:, None] * np.eye(3)[1][None] + 0.3 * kernel
    theirs = cv2.filter2D(pixels, -1, mixed, borderType=cv2.BORDER_REFLECT_101).clip(0, 1)
    ours = sharpen(image, torch.tensor([0.3]), torch.tensor([0.7]))[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - theirs).max() < 1e-5
    small = cv2.resize(pixels, (16, 16), interpolation=cv2.INTER_NEAREST)
    back = cv2.resize(small, (64, 64), interpolation=cv2.INTER_LINEAR)
    assert np.abs(coarsen(image, 4)[0].permute(1, 2, 0).numpy() - back).max() < 1e-5


def faces(prepared: Path) -> Batch:
    data = FaceData(prepared=prepared, image_size=128, batch_size=16, num_workers=0, synthesis=SelfBlend())
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


def blended(batch: Batch, seed: int = 0, framing: Framing = WHOLE, **options: object) -> Batch:
    torch.manual_seed(seed)
    synthesis = SelfBlend(**options)  # type: ignore[arg-type]
    synthesis.framing = framing
    out: Batch = synthesis(batch)
    return out


def test_a_pair_differs_inside_its_mask_and_nowhere_else(prepared: Path) -> None:
    out = blended(faces(prepared), after_jpeg=0.0)
    real, fake = out.frames.chunk(2)
    mask = out.mask.chunk(2)[1]
    assert out.label.tolist() == [0] * len(real) + [1] * len(real)
    assert not out.mask.chunk(2)[0].any()
    assert len(set(out.video)) == 2 * len(set(out.video[: len(real)]))
    outside = (mask == 0).expand_as(real)
    assert float((real - fake).abs()[outside].max()) < 1e-5
    assert float((real - fake).abs()[(mask > 0.9).expand_as(real)].mean()) > 0.003
    assert 0 <= float(out.frames.min()) <= float(out.frames.max()) <= 1


def test_a_softened_mask_keeps_most_of_the_face(prepared: Path) -> None:
    batch = faces(prepared)
    face = hull_mask(batch.landmarks[:, 0], "extended", 128, 128).float().mean((1, 2))
    shares = torch.cat(
        [blended(faces(prepared), seed, distort=0.0).mask.chunk(2)[1].mean((1, 2, 3, 4)) / face for seed in range(8)]
    )
    assert 0.65 < float(shares.mean()) < 0.95
    assert 0.4 < float(shares.min()) < float(shares.max()) < 1.4


def test_a_boundary_is_that_of_the_mask_before_it_is_enlarged(prepared: Path) -> None:
    before, out = (blended(faces(prepared), size=size, distort=0.0) for size in (128, 512))
    assert out.boundary is not None
    for mask, boundary in zip(before.mask[:, 0, 0].numpy(), out.boundary[:, 0, 0].numpy(), strict=True):
        levels = np.floor(4 * 255 * mask * (1 - mask))  # a quarter of 512 is 128
        assert np.abs(boundary - levels).max() <= 1  # by rounding


def test_points_are_as_many_and_as_wide_as_the_specification_counted(prepared: Path) -> None:
    data = FaceData(prepared=prepared, image_size=256, batch_size=16, num_workers=0, synthesis=SelfBlend())
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    made = (blended(batch, seed, PUBLISHED, size=384) for seed in range(6))
    boundaries = [one.boundary for one in made]
    fake = torch.cat([boundary.chunk(2)[1][:, 0, 0].float() for boundary in boundaries if boundary is not None])
    points = find_vulnerable(fake)
    image, sigma = points.image, points.sigma
    assert 10 <= float(torch.bincount(image, minlength=len(fake)).float().median()) <= 32  # 16
    assert float(sigma.median()) == pytest.approx(1.02, abs=0.15)
    assert float(sigma.max()) <= 2.6


def test_the_size_is_the_one_asked_for_and_draws_repeat(prepared: Path) -> None:
    batch = faces(prepared)
    one, other = blended(batch, 3, size=96), blended(batch, 3, size=96)
    assert one.frames.shape[-2:] == one.mask.shape[-2:] == (96, 96)
    assert torch.equal(one.frames, other.frames)
    assert not torch.equal(one.frames, blended(batch, 4, size=96).frames)


def test_fakes_and_clips_are_refused(prepared: Path) -> None:
    batch = faces(prepared)
    batch.label[0] = 1
    with pytest.raises(UserError, match="are made from real faces"):
        blended(batch)
    with pytest.raises(UserError, match="pairs: not with synthesis, which makes its own"):
        FaceData(prepared=prepared, synthesis=SelfBlend(), pairs=True)


def test_validation_shows_a_face_the_same_forgery_in_any_batch(prepared: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    for batch_size in (3, 8):
        data = FaceData(prepared=prepared, batch_size=batch_size, num_workers=0, eval_clips=2, synthesis=SelfBlend())
        kept = KeptFaces()
        trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[kept])
        trainer.validate(Classifier("test_efficientnet"), data, verbose=False)
        seen.append(kept.frames)
    assert seen[0].keys() == seen[1].keys()
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


def fit_a_step(prepared: Path, synthesis: SelfBlend | None) -> None:
    data = FaceData(prepared=prepared, batch_size=4, num_workers=0, synthesis=synthesis)
    quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    Trainer(**quiet, fast_dev_run=1).fit(Classifier("test_efficientnet"), data)


def test_too_little_room_around_a_face_is_named_once_before_training(prepared: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    shutil.copytree(prepared, wide)
    contract = json.loads((wide / "contract.json").read_text())
    (wide / "contract.json").write_text(json.dumps(contract | {"margin": 1.5}))
    checksums.write(wide, checksums.read(wide) | {"contract.json": [checksums.digest(wide / "contract.json")]})
    message = (
        rf"{prepared}: prepared with margin 1\.3, a synthesis needs 1\.5: .* --margin 1\.5 --data\.prepared .*_m15"
    )
    with pytest.warns(UserWarning, match=message):
        fit_a_step(prepared, SelfBlend())
    shutil.copytree(prepared, aligned := tmp_path / "aligned")
    (aligned / "contract.json").write_text(json.dumps(contract | {"alignment": "five_points"}))
    checksums.write(aligned, checksums.read(aligned) | {"contract.json": [checksums.digest(aligned / "contract.json")]})
    for folder, synthesis in ((wide, SelfBlend()), (aligned, SelfBlend()), (prepared, None)):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            fit_a_step(folder, synthesis)
        assert not [one for one in heard if "margin" in str(one.message)]


def test_training_and_validation_see_reals_only_and_testing_all(prepared: Path) -> None:
    data = FaceData(prepared=prepared, synthesis=SelfBlend())
    assert set(data.videos("train")["label"].to_pylist()) == set(data.videos("val")["label"].to_pylist()) == {0}
    assert set(data.videos("test")["label"].to_pylist()) == {0, 1}
    assert data.training_methods() == ["studio/real"]


def test_the_mask_of_a_self_blend_is_bent(prepared: Path) -> None:
    batch = faces(prepared)
    straight, bent = (blended(replace(batch, frames=batch.frames.clone()), alpha=alpha).mask for alpha in (0.0, 50.0))
    assert ((straight - bent).abs().flatten(1).amax(1)[len(batch) :] > 0.1).all()
