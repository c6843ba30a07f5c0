"""A map that shows the boundary of a forgery is measured against that boundary."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.synthesis.base import LEVELS
from lightning_modules.base import Prediction
from lightning_modules.boundary import on_boundary
from lightning_modules.laa_net.method import LAANet


def test_the_boundary_of_a_hard_mask_is_a_band_about_its_edge_and_not_about_the_images() -> None:
    mask = torch.zeros(1, 128, 128)
    mask[0, 32:, 40:90] = 1  # goes on below the image
    found = on_boundary(mask, None)[0]
    row = found[80].nonzero().flatten()
    # 5 / 256 of the side: each edge is 2.5 pixels of blur, and belongs where 4 m (1 - m) > a half, 1.05 of them off it
    assert row.tolist() == [*range(38, 42), *range(88, 92)] or row.tolist() == [*range(37, 43), *range(87, 93)]
    assert not found[-1, 45:85].any()
    assert found[32, 60]
    assert not on_boundary(torch.zeros(1, 64, 64), None).any()
    assert not on_boundary(torch.ones(1, 64, 64), None).any()


def test_the_boundary_of_a_synthesis_is_the_one_that_was_trained_on() -> None:
    levels = torch.zeros(2, 1, 1, 16, 16, dtype=torch.uint8)
    levels[1, 0, 0, 8] = LEVELS
    found = on_boundary(torch.zeros(2, 64, 64), levels)
    assert not found[0].any()
    assert sorted(set(found[1].nonzero()[:, 0].tolist())) == [*range(32, 36)]  # about 8 / 15 of 63


class Perfect(LAANet):
    """Its map is what LAA-Net is trained to show."""

    def predict(self, batch: Batch) -> Prediction:
        on = on_boundary(batch.mask.flatten(0, 2), None).view_as(batch.mask)
        return Prediction(logit=batch.label.float(), mask_logit=8.0 * on - 4)


def test_the_map_of_laa_net_is_measured_against_the_boundary_alone(data: FaceData) -> None:
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    batch = replace(batch, has_mask=torch.ones_like(batch.has_mask), label=torch.arange(len(batch)) % 2)
    batch.mask[batch.label == 0] = 0
    batch.mask[batch.label == 1, ..., 20:50, 20:44] = 1
    model = Perfect(trunk="test_efficientnet", padding_side=None, size=64)
    model.evaluate("test", batch)
    values = model.create_metrics(model.pixels, "test").compute()
    assert not [id for id in values if id.startswith("pixel_")]
    assert values["boundary_auroc"] == values["boundary_frame_iou_at_half"] == 1
    assert values["boundary_false_alarms_at_half"] == 0
    assert values["boundary_f1_at_validation"].isnan()  # nothing was validated
    assert float(model.map_target(batch).float().mean()) == pytest.approx(
        float(on_boundary(batch.mask.flatten(0, 2), None).float().mean())
    )


def test_the_true_boundary_is_the_same_in_every_precision(data: FaceData) -> None:
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    batch.mask[..., 20:50, 17:44] = 1
    model = LAANet(trunk="test_efficientnet", padding_side=None, size=64)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.map_target(batch)
    assert (found == model.map_target(batch)).all()
