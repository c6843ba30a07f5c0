"""A training on several sets, by the command: metrics of each, two processes, and going on after an end."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from suite.__main__ import main
from tests.conftest import ROOT, small_fit, suite


@pytest.fixture(scope="module")
def config(prepared: Path, visitors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of two, as a file."""
    sets = [{"prepared": str(prepared)}, {"prepared": str(visitors), "weight": 2, "name": "guests"}]
    path = tmp_path_factory.mktemp("sets") / "two.yaml"
    path.write_text(yaml.safe_dump({"sets": sets}))
    return path


def arguments(config: Path, run: Path, *options: str) -> list[str]:
    recorder = ["--trainer.callbacks+=tests.fixtures.recorder.Recorder", "--trainer.callbacks.path", f"{run}.seen"]
    words = small_fit(Path("unused"), run, "--trainer.limit_train_batches", "6", *recorder, *options)
    at = words.index("--data.prepared")
    return [*words[:at], "--data", str(config), *words[at + 2 :]]


@pytest.fixture(scope="module")
def alone(config: Path) -> Path:
    """A run of one process."""
    run = config.parent / "alone"
    main(arguments(config, run))
    return run


def seen(run: Path, epoch: int) -> list[str]:
    lines = [line for path in run.parent.glob(f"{run.name}.seen.*") for line in path.read_text().splitlines()]
    return sorted(line for line in lines if line.startswith(f"train {epoch} "))


def logged(run: Path, prefix: str) -> dict[str, float]:
    """The last value of each metric."""
    with (run / "metrics.csv").open() as f:
        return {k: float(v) for row in csv.DictReader(f) for k, v in row.items() if k.startswith(prefix) and v}


def test_each_set_has_metrics_and_a_threshold_of_its_own_beside_those_of_all(alone: Path, config: Path) -> None:
    values = logged(alone, "val/")
    for name in ("", "studio/", "guests/"):
        assert f"val/{name}video_auroc" in values
        assert f"val/{name}video_threshold" in values
    checkpoint = torch.load(alone / "checkpoints/last.ckpt", weights_only=True)
    data = checkpoint["FaceData"]
    assert {"studio/Swap", "visitors/Swap"} <= set(data["trained_on"])
    assert data["fixed_by_set"]["guests"]["video_threshold"] == pytest.approx(values["val/guests/video_threshold"])
    together = checkpoint["state_dict"]["video_threshold"]
    assert float(together) == pytest.approx(values["val/video_threshold"])
    test = ["test", *arguments(config, alone)[1:], "--ckpt_path", "last"]
    main(test)
    assert {"test/video_auroc", "test/studio/video_auroc", "test/guests/video_auroc"} <= logged(
        alone / "test", "test/"
    ).keys()
    about = pq.read_schema(alone / "predictions.parquet").metadata
    assert json.loads(about[b"fixed_by_set"]) == data["fixed_by_set"]
    main(["report", str(alone), "--min_validation_auroc", "0"])
    page = (alone / "report.html").read_text()
    assert "<td>visitors</td>" in page
    assert "<td>studio</td>" in page
    assert "would fix on each set alone: studio 0." in page


def test_two_processes_train_and_measure_on_several_sets_as_one_does(alone: Path, config: Path) -> None:
    run = config.parent / "two"
    done = suite(*arguments(config, run, "--data.batch_size", "4"), ranks=2)
    assert done.returncode == 0, done.stderr[-2000:]
    for epoch in range(2):
        assert seen(run, epoch) == seen(alone, epoch)
        assert len(seen(run, epoch)) == 6 * 8
    one, two = logged(alone, "val/"), logged(run, "val/")
    assert two.keys() == one.keys()


def test_a_training_on_several_sets_that_is_resumed_draws_what_it_would_have_drawn(alone: Path, config: Path) -> None:
    run = config.parent / "resumed"
    main(arguments(config, run, "--trainer.max_epochs", "1"))
    main(arguments(config, run, "--ckpt_path", "last"))
    assert seen(run, 1) == seen(alone, 1)
    first, again = (torch.load(of / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for of in (alone, run))
    assert all(torch.allclose(first[name], again[name], rtol=0, atol=0, equal_nan=True) for name in first)


@pytest.mark.parametrize("verb", ["prepare", "doctor", "degrade"])
def test_a_verb_for_one_data_set_refuses_several(verb: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--kind", "jpeg", "--severity", "1", "--out", str(config.parent / "out")] if verb == "degrade" else []
    with pytest.raises(SystemExit) as stop:
        main([verb, "--data", str(config), *more])
    assert stop.value.code == 2
    assert "data.sets: this takes one data set, not 2" in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_mistyped_key_of_a_set_is_named(tmp_path: Path, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"data": {"sets": [{"prepared": str(prepared), "wieght": 2}]}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", str(ROOT / "configs/classifier.yaml"), "--config", str(tmp_path / "c.yaml")])
    assert stop.value.code == 2
    assert "wieght" in capsys.readouterr().err.strip().splitlines()[-1]
