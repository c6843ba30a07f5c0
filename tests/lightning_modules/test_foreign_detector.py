"""A detector from outside the suite under its protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from datamodules.face_data import FaceData
from lightning_modules.foreign_detector import ForeignDetector
from suite.__main__ import main
from suite.run_metrics import read_run, verdict

HERE = "tests.fixtures.green_detector"


def arguments(prepared: Path, run: Path, detector: str, verb: str = "test") -> list[str]:
    options = ["--config", "configs/foreign_detector.yaml", "--data.prepared", str(prepared), "--data.num_workers", "0"]
    return [verb, *options, "--model.detector", detector, "--run", str(run), "--trainer.accelerator", "cpu"]


def test_it_sees_the_crops_as_bytes_and_its_scores_and_maps_are_those_of_the_table(
    prepared: Path, data: FaceData, tmp_path: Path
) -> None:
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    found = ForeignDetector(f"{HERE}:create").predict(batch)
    green = batch.frames[:, 0, 1]
    torch.testing.assert_close(found.logit.sigmoid(), green.mean((1, 2)), atol=1e-5, rtol=0)
    assert found.mask_logit is not None
    assert found.mask_logit.shape == batch.mask.shape
    main(arguments(prepared, tmp_path, f"{HERE}:create"))
    run = read_run(tmp_path)
    assert 0 <= verdict(run)["video_auroc"].value <= 1
    assert verdict(run)["pixel_auroc"].value == pytest.approx(0.5, abs=0.5)
    first = {(v, f): s for v, f, s in zip(run.table["video"], run.table["frame"], run.table["score"], strict=True)}
    for name, frame, score in zip(batch.video, batch.numbers[:, 0].tolist(), green.mean((1, 2)), strict=True):
        assert first[name, frame] == pytest.approx(score.item(), abs=1e-5)


def test_maps_are_no_duty(data: FaceData) -> None:
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    assert ForeignDetector(f"{HERE}:create_without_maps").predict(batch).mask_logit is None


@pytest.mark.parametrize(
    ("detector", "verb", "message"),
    [
        (f"{HERE}:create", "fit", "has nothing to fit here; run 'test'"),
        (f"{HERE}:creat", "test", "has no factory 'creat'"),
        (f"{HERE}.create", "test", "must be package.module:factory"),
        ("no_such_package.x:create", "test", "no_such_package is neither in the current folder nor installed"),
        (f"{HERE}:create_nothing", "test", "returned NoneType, must return a callable"),
        (f"{HERE}:create_logits", "test", "scores with -3, must be"),
        (f"{HERE}:create_wrong_count", "test", "from 0 to 1"),
        ("null", "test", "give --model.detector package.module:factory"),
    ],
)
def test_what_is_no_detector_is_refused_by_name(
    detector: str, verb: str, message: str, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments(prepared, tmp_path, detector, verb))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
