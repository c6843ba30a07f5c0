"""Weights & Biases: sweeps are one group, and a report is built from them; nothing here has an account."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from suite.__main__ import main
from tests.conftest import ROOT, small_fit, suite
from tests.fixtures.processes import run_ranks


@pytest.fixture
def sweep(prepared: Path, tmp_path: Path, forked_commands: None, few_resamples: None) -> Path:
    """A sweep of one method, whose runs were logged offline."""
    here = {"data": str(ROOT / "configs/data/studio.yaml"), "overrides": {"prepared": str(prepared), "root": None}}
    small = {"num_workers": 0, "clips_per_face": 1, "eval_clips": 1, "batch_size": 8}
    change = {"model": {"init_args": {"backbone": "test_efficientnet"}}, "data": small}
    content = {
        "methods": {"plain": {"config": [str(ROOT / "configs/classifier.yaml")]}},
        "train": {"all of it": here},
        "test": {"the studio": here},
        "overrides": {**change, "trainer": {"max_epochs": 1, "accelerator": "cpu"}},
        "min_validation_auroc": 0.0,  # nothing is, in an epoch
        "out": str(tmp_path / "a sweep"),
        "wandb": "forensics",
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    main(["benchmark", "--config", str(tmp_path / "sweep.yaml")])
    return tmp_path / "a sweep"


def strings(value: Any) -> set[str]:
    """All text in a specification."""
    if isinstance(value, Mapping):
        return set().union(*map(strings, value.values()))
    if isinstance(value, list):
        return set().union(*map(strings, value))
    return {value} if isinstance(value, str) else set()


def test_a_sweep_is_one_group_with_tags_and_its_report_is_written_without_an_account(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [fit] = sweep.glob("runs/plain/all of it/0/wandb/offline-run-*/*.wandb")
    [test] = sweep.glob("runs/plain/all of it/0/tests/the studio/wandb/offline-run-*/*.wandb")
    for file, words in ((fit, [b"val/video_auroc"]), (test, [b"test/roc", b"test/panels", b"the studio"])):
        logged = file.read_bytes()
        for word in (b"a sweep", b"plain", b"all of it", b"seed 0", *words):
            assert word in logged
    main(["report", str(sweep), "--wandb", "forensics"])
    said = capsys.readouterr().out
    assert "wandb_report.json" in said
    assert "2 offline runs" in said
    synced = [shlex.split(line) for line in (sweep / "sync.sh").read_text().splitlines()]
    assert [words[:2] for words in synced] == [["wandb", "sync"]] * 2
    assert {Path(words[2]) for words in synced} == {fit.parent, test.parent}
    report = json.loads((sweep / "wandb_report.json").read_text())
    assert report["project"]["name"] == "forensics"
    blocks = report["spec"]["blocks"]
    headings = [block["children"][0]["text"] for block in blocks if block["type"] == "heading"]
    assert headings == ["Matrix", "ROC", "Faces and where the forgery is said to be", "Training"]
    [matrix] = [block for block in blocks if block["type"] == "markdown-block"]
    assert matrix["content"] == (sweep / "table.md").read_text()
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    assert all([one["name"] for one in grid["runSets"]] == ["plain"] for grid in grids)
    filters = grids[0]["runSets"][0]["filters"]["filters"]
    asked = {(one["key"]["section"], one["key"]["name"]): one["value"] for one in filters}
    assert asked == {
        ("config", "sweep_method"): "plain",
        ("run", "group"): "a sweep",
        ("run", "jobType"): "test",
        ("config", "severity"): 0,
    }
    assert {"test/video_auroc", "test/roc_table", "test/panels", "val/video_auroc"} <= strings(grids)


def test_what_is_no_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path), "--wandb", "forensics"])
    assert f"{tmp_path}: is no folder that 'benchmark' has filled" in capsys.readouterr().err


def test_the_search_is_a_command_that_trains_in_a_folder_of_its_own(prepared: Path, tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "configs/search/classifier.yaml").read_text())
    drawn = {
        name: {"value": one["values"][0] if "values" in one else one["min"]}
        for name, one in content["parameters"].items()
    }
    macros = create_sweep_command_args({"args": drawn})
    words: list[str] = []
    for word in create_sweep_command(content["command"]):
        words += macros["args"] if word == "${args}" else [] if word == "${env}" else [word]
    assert words[:4] == ["python", "-m", "suite", "fit"]
    assert any(word.startswith("--model.optimizer.init_args.lr=") for word in words)
    run = next(word for word in words if word.startswith("--run="))
    small = small_fit(prepared, tmp_path, "--model.backbone", "test_efficientnet")
    small[small.index("--run") + 1] = f"{tmp_path}/{run.removeprefix('--run=')}"
    own = [word for word in words[4:] if not word.startswith(("--run=", "--model.backbone="))]
    os.environ["WANDB_RUN_ID"] = "x1y2"
    try:
        done = suite("fit", *own, *small[3:])
    finally:
        del os.environ["WANDB_RUN_ID"]
    assert done.returncode == 0, done.stderr[-2000:]
    [made] = tmp_path.glob("runs/search/*/checkpoints/best.ckpt")
    assert made.parts[-3] == "x1y2"
    assert yaml.safe_load((made.parents[1] / "config.yaml").read_text())["run"] == str(made.parents[1])


def test_checkpoints_are_artifacts_where_that_is_asked_for(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # an artifact of a run without an account waits in a folder of W&B's until it is sent
    environment = {"WANDB_DATA_DIR": str(tmp_path / "data"), "WANDB_MODE": "offline"}
    for name, asked in (("plain", []), ("kept", ["--wandb_checkpoints", "true"])):
        options = ["--wandb", "forensics", *asked, "--trainer.max_epochs", "1"]
        run = tmp_path / name
        done = run_ranks(
            *small_fit(prepared, run, *options), ranks=1, timeout=300, environment=os.environ | environment
        )
        assert done.returncode == 0, done.stderr[-2000:]
        [file] = run.glob("wandb/offline-run-*/*.wandb")
        logged = file.read_bytes()
        assert (b"best.ckpt" in logged) == bool(asked)
        assert (b"last.ckpt" in logged) == bool(asked)
    with pytest.raises(SystemExit):
        main(small_fit(prepared, tmp_path / "none", "--wandb_checkpoints", "true"))
    assert "wandb_checkpoints: there is nowhere to log them; give --wandb PROJECT, too" in capsys.readouterr().err
