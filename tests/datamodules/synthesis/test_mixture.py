"""Forgeries of several kinds in one training, and of single parts of a face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.synthesis.base import Synthesis
from datamodules.synthesis.face_blend import FaceBlend
from datamodules.synthesis.framing import Framing
from datamodules.synthesis.hull import GROUPS, PARTS, hull_masks
from datamodules.synthesis.mixture import Mixture
from datamodules.synthesis.self_blend import SelfBlend


def load_reals(prepared: Path, synthesis: Synthesis, size: int = 64) -> Batch:
    """With their sources, where the synthesis needs them."""
    data = FaceData(prepared=prepared, image_size=size, batch_size=8, num_workers=0, synthesis=synthesis)
    batch: Batch = next(iter(data.train_dataloader()))
    return batch.scale()


@pytest.mark.parametrize("kind", PARTS)
def test_an_edit_of_a_part_covers_its_points_and_not_the_other_parts(kind: str, prepared: Path) -> None:
    data = FaceData(prepared=prepared, image_size=128, batch_size=4, num_workers=0)
    points: Tensor = next(iter(data.test_dataloader())).landmarks[:, 0]
    masks = hull_masks(points, [kind] * len(points), 128, 128)[:, 0].numpy()
    for mask, p in zip(masks, points.long().numpy().astype(np.int32), strict=True):
        inside = np.zeros((128, 128), np.uint8)
        for group in GROUPS[kind]:
            cv2.fillConvexPoly(inside, cv2.convexHull(p[group]), (1,))
        assert (mask[inside > 0] > 0).mean() > 0.97  # a pixel of the outline is rounded otherwise
        assert inside.sum() * 1.5 < mask.sum() < 0.3 * 128 * 128
        far = {"mouth": 19, "nose": 8}.get(kind, 8)  # a brow, or the chin
        assert not mask[tuple(p[far, ::-1].clip(0, 127))]


def test_an_edit_is_the_same_whatever_else_is_edited_beside_it(prepared: Path) -> None:
    data = FaceData(prepared=prepared, image_size=128, batch_size=4, num_workers=0)
    points: Tensor = next(iter(data.test_dataloader())).landmarks[:1, 0]
    for kind in PARTS:
        alone = hull_masks(points, [kind], 128, 128)
        assert torch.equal(hull_masks(points.expand(2, 68, 2), [kind, "all"], 128, 128)[:1], alone)


def test_each_face_is_forged_by_one_of_the_syntheses_as_often_as_its_weight_says(prepared: Path) -> None:
    class Marked(SelfBlend):
        def __init__(self) -> None:
            super().__init__(after_jpeg=0.0)
            self.seen = 0

        def blend_drawn(self, faces: Tensor, landmarks: Tensor, drawn: object) -> object:  # type: ignore[override]
            self.seen += len(faces)
            assert faces.shape[1] == 1  # without the source of another part
            return super().blend_drawn(faces, landmarks, drawn)  # type: ignore[arg-type]

    few, many = Marked(), Marked()
    mixed = Mixture([few, many, FaceBlend(neighbours=2)], weights=[1.0, 4.0, 0.01], size=48)
    batch = load_reals(prepared, mixed)
    torch.manual_seed(0)
    for _ in range(12):
        out = mixed.train()(batch.map(torch.clone))
        assert out.frames.shape == (16, 1, 3, 48, 48)
        differs = (out.frames[:8] - out.frames[8:]).abs().amax((1, 2))
        assert not differs[out.mask[8:, 0, 0] == 0].any()  # its own mask, not that of another face
        assert differs.flatten(1).any(1).sum() >= 6
    assert 90 <= few.seen + many.seen <= 96
    assert 0.1 < few.seen / (few.seen + many.seen) < 0.32


def test_a_validation_face_gets_the_same_forgery_of_a_mixture_in_any_batch(prepared: Path) -> None:
    mixed = Mixture([SelfBlend(), SelfBlend(hulls=PARTS), FaceBlend(neighbours=2)], size=48)
    batch = load_reals(prepared, mixed)
    seeds = list(range(8))
    whole = mixed.eval()(batch.map(torch.clone), seeds)
    rows = torch.tensor([2, 5, 10, 13])  # two faces with their sources
    some = mixed(batch.rows(rows), [2, 5])
    assert torch.equal(some.frames, whole.frames[[2, 5, 10, 13]])


def test_validation_judges_real_faces_as_they_are(prepared: Path) -> None:
    always = {"after_shift": 1.0, "after_light": 1.0, "after_jpeg": 1.0}
    mixed = Mixture([SelfBlend(**always), FaceBlend(neighbours=2, downscale=1.0)], size=48)  # type: ignore[arg-type]
    batch = load_reals(prepared, mixed)
    shown = mixed.eval().show(batch.map(torch.clone)).frames[:8]
    assert torch.equal(mixed(batch.map(torch.clone), list(range(8))).frames[:8], shown)


def test_what_a_method_is_shown_holds_for_every_synthesis_of_a_mixture(prepared: Path) -> None:
    parts = [SelfBlend(), FaceBlend(neighbours=2)]
    mixed = Mixture(parts, size=48, distort=0.25)
    mixed.framing = Framing(cut=(0.1, 0.1))
    assert [(part.size, part.distort) for part in parts] == [(48, 0.25)] * 2
    assert mixed.makers == ["FaceBlend", "SelfBlend"]
    assert [part.framing for part in parts] == [Framing(cut=(0.1, 0.1))] * 2
    assert mixed.neighbours == 2


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, 1.0, 1.0]])
def test_weights_that_fit_no_parts_are_refused(weights: list[float]) -> None:
    with pytest.raises(UserError, match="must be 2 numbers above 0"):
        Mixture([SelfBlend(), SelfBlend()], weights=weights)


def test_a_hull_that_does_not_exist_is_refused_by_both_syntheses() -> None:
    for kind in (SelfBlend, FaceBlend):
        with pytest.raises(UserError, match=r"hulls chin: there are full, .*mouth"):
            kind(hulls=("full", "chin"))
