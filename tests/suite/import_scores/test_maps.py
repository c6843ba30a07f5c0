"""Maps of somebody else beside their scores."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from lightning_modules.foreign_detector import ForeignDetector
from suite.__main__ import main
from suite.run_metrics import read_run, verdict
from tests.conftest import ROOT


@pytest.fixture
def batch(data: FaceData) -> Batch:
    data.eval_clips = 1
    batches = list(data.test_dataloader())
    fake = next(batch for batch in batches if batch.label.any())
    return fake.scale()


def write_maps(batch: Batch, folder: Path, suffix: str) -> list[dict[str, object]]:
    """How green each pixel is, as tests.fixtures.green_detector says."""
    rows: list[dict[str, object]] = []
    for i, video in enumerate(batch.video):
        green = batch.frames[i, 0, 1, ::2, ::2].double().numpy()
        path = folder / f"{i}{suffix}"
        np.save(path, green) if suffix == ".npy" else cv2.imwrite(str(path), (255 * green).round().astype(np.uint8))
        where: dict[str, object] = {"track": int(batch.track[i]), "frame": int(batch.numbers[i, 0])}
        rows.append({"video": video, **where, "score": float(green.mean()), "map": path.name})
    return rows


def run_import(rows: list[dict[str, object]], prepared: Path, folder: Path) -> None:
    with (folder / "scores.csv").open("w", newline="") as f:
        table = csv.DictWriter(f, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    where = ["--data", str(ROOT / "configs/data/studio.yaml"), "--data.root", "null", "--data.prepared", str(prepared)]
    scores = ["--scores", str(folder / "scores.csv"), "--run", str(folder / "theirs"), "--missing", "leave_out"]
    main(["import-scores", *scores, *where])


@pytest.mark.parametrize("suffix", [".npy", ".png"])
def test_maps_of_crops_are_counted_as_those_of_a_detector_that_sees_the_crops(
    suffix: str, prepared: Path, batch: Batch, tmp_path: Path, few_resamples: None
) -> None:
    run_import(write_maps(batch, tmp_path, suffix), prepared, tmp_path)
    run = read_run(tmp_path / "theirs")
    outcome = ForeignDetector("tests.fixtures.green_detector:create").outcome(batch)
    assert outcome.forged is not None
    assert outcome.other is not None
    at = {video: i for i, video in enumerate(run.table["video"])}
    for i, video in enumerate(batch.video):
        for name, expected in (("forged", outcome.forged), ("other", outcome.other)):
            np.testing.assert_array_equal(run.table[name][at[video]], expected[i, 0].numpy())
        assert run.table["has_mask"][at[video]] == batch.has_mask[i]
    assert outcome.forged.sum() > 0
    metrics = verdict(run)
    assert 0 < metrics["pixel_auroc"].value < 1
    assert metrics["pixel_auroc"].low < metrics["pixel_auroc"].high


def test_lines_without_a_map_have_a_score_alone(prepared: Path, batch: Batch, tmp_path: Path) -> None:
    rows = write_maps(batch, tmp_path, ".npy")
    rows[0]["map"] = ""
    run_import(rows, prepared, tmp_path)
    table = read_run(tmp_path / "theirs").table
    without = table["video"] == rows[0]["video"]
    assert [one is None for one in table["forged"]] == without.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"map": "none.npy"}, "line 2: map {folder}/none.npy: cannot be read"),
        ({"map": "scores.csv"}, "line 2: map {folder}/scores.csv: must be a grey PNG"),
        ({"map": "wide.npy"}, "line 2: map {folder}/wide.npy: of shape (1, 2, 2), float64; must be"),
        ({"map": "high.npy"}, "line 2: map {folder}/high.npy: holds 1.5; must be"),
        ({"frame": 999}, "track 0, frame 999 has no crop in"),
        ({"track": 7}, "track 7, frame"),
    ],
)
def test_a_wrong_map_is_refused_by_its_line(
    change: dict[str, object],
    message: str,
    prepared: Path,
    batch: Batch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((1, 2, 2)))
    np.save(tmp_path / "high.npy", np.full((2, 2), 1.5))
    rows = write_maps(batch, tmp_path, ".npy")
    rows[0] |= change
    with pytest.raises(SystemExit):
        run_import(rows, prepared, tmp_path)
    assert message.format(folder=tmp_path) in capsys.readouterr().err


def test_a_map_of_no_frame_is_refused(
    prepared: Path, batch: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{name: row[name] for name in ("video", "score", "map")} for row in write_maps(batch, tmp_path, ".npy")]
    with pytest.raises(SystemExit):
        run_import(rows, prepared, tmp_path)
    assert "has the column map without frame; must say which crop a map is of" in capsys.readouterr().err
