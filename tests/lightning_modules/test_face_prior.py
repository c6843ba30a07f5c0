"""Localizers that look at nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.face_data import FaceData
from lightning_modules.face_prior import FacePrior
from suite.__main__ import main


def test_the_face_is_its_hull_and_its_features_lie_within(data: FaceData) -> None:
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    masks = {}
    for region in ("everywhere", "face", "features"):
        logit = FacePrior(region).predict(batch).mask_logit
        assert logit is not None
        masks[region] = logit[:, 0, 0] > 0
    assert masks["everywhere"].all()
    points = batch.landmarks[0, 0, :27].round().int().numpy()
    theirs = cv2.fillConvexPoly(np.zeros((64, 64), np.uint8), cv2.convexHull(points), 1).astype(bool)
    assert (masks["face"][0].numpy() ^ theirs).mean() < 0.03
    assert (masks["features"] & ~masks["face"]).float().mean() < 0.01
    assert masks["features"].sum() < masks["face"].sum()


def test_it_is_tested_without_a_checkpoint_and_never_fitted(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--config", "configs/face_prior.yaml", "--data.prepared", str(prepared), "--data.num_workers", "0"]
    main(["test", *options, "--model.region", "everywhere", "--run", str(tmp_path), "--trainer.accelerator", "cpu"])
    with (tmp_path / "test/metrics.csv").open() as f:
        [row] = csv.DictReader(f)
    assert float(row["test/video_auroc"]) == float(row["test/pixel_auroc"]) == 0.5
    assert float(row["test/pixel_false_alarms_at_half"]) == 1.0
    with pytest.raises(SystemExit):
        main(["fit", *options, "--run", str(tmp_path / "fit")])
    assert "FacePrior: has nothing to fit; run 'test'" in capsys.readouterr().err
