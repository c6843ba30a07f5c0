"""A sweep: every training and test that can be done is done, once, and what cannot be is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
import yaml

from datamodules import manifest
from datamodules.runtime.errors import UserError
from suite.__main__ import main
from suite.benchmark.overrides import Overrides, merge
from suite.benchmark.plan import DatasetSpec, MethodSpec, Sweep
from suite.benchmark.runner import Command, Stopped, run_job
from suite.run_metrics import read_run, verdict
from tests.conftest import ROOT, small_fit
from tests.fixtures.processes import fork
from tests.fixtures.runs import change, write_run

SMALL: dict[str, Any] = {
    "model": {"init_args": {"backbone": "test_efficientnet"}},
    "data": {"num_workers": 0, "clips_per_face": 2, "eval_clips": 2, "batch_size": 8},
    "trainer": {
        "max_epochs": 1,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "callbacks": [{"class_path": "callbacks.familiarity.KnowTraining", "init_args": {"faces": 32}}],
    },
}


@pytest.fixture
def sweep(prepared: Path, tmp_path: Path, forked_commands: None, few_resamples: None) -> Callable[..., list[str]]:
    """Arguments of a small sweep; what is changed of it is given."""

    def made(**changes: Any) -> list[str]:
        here = {"data": str(ROOT / "configs/data/studio.yaml"), "overrides": {"prepared": str(prepared), "root": None}}
        content = {
            "methods": {"plain": {"config": [str(ROOT / "configs/classifier.yaml")]}},
            "train": {"but Swap": merge(here, {"overrides": {"methods": ["NeuralTexture", "Reenactment"]}})},
            "test": {"studio": here},
            "seeds": [0],
            "overrides": SMALL,
            "min_validation_auroc": 0.0,  # nothing is, in an epoch
            "out": str(tmp_path / "sweep"),
        }
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(merge(content, changes)))
        return ["benchmark", "--config", str(tmp_path / "sweep.yaml")]

    return made


def untrained(command: list[str], sweep: Path) -> list[str]:
    """The sweep of a method that is not trained alone."""
    content = yaml.safe_load(sweep.read_text())
    del content["methods"]["plain"], content["overrides"]["model"]
    sweep.write_text(yaml.safe_dump(content))
    return command


STILL = {"config": [str(ROOT / "configs/face_prior.yaml")], "trained": False}


def test_what_fails_is_named_and_costs_no_other_and_nothing_is_done_twice(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {"data": str(ROOT / "configs/data/studio.yaml"), "overrides": {"prepared": str(tmp_path / "gone")}}
    wrong = {"config": [str(ROOT / "configs/classifier.yaml")], "overrides": {"model": {"init_args": {"bakbone": "x"}}}}
    with pytest.raises(SystemExit):
        main(sweep(methods={"broken": wrong}, test={"gone": gone}))
    said = capsys.readouterr()
    assert "2 failed" in said.err
    assert "broken, trained on but Swap, seed 0: " in said.err
    assert "'bakbone', did you mean 'backbone'?" in said.err
    assert f"plain, trained on but Swap, seed 0, tested on gone: {tmp_path / 'gone'}" in said.err
    assert "| broken | but Swap | failed | failed |" in said.out
    out = tmp_path / "sweep"
    run = out / "runs/plain/but Swap/0"
    found = pq.read_table(out / "results.parquet").to_pylist()
    by_forgery = {row["forgery"]: row for row in found}
    assert {name: row["seen"] for name, row in by_forgery.items() if name in ("Swap", "Reenactment", "all")} == {
        "Swap": False,
        "Reenactment": True,
        "all": None,
    }
    auroc = verdict(read_run(run / "tests/studio"))["video_auroc"]
    whole = by_forgery["all"]
    assert (whole["video_auroc"], whole["video_auroc_low"]) == (auroc.value, auroc.low)
    assert whole["coverage"] == 1
    assert whole["train_seconds"] > 0
    assert (out / "failures.txt").read_text().count("\n") == 2
    assert json.loads((out / "results.json").read_text()) == found

    before = {path: path.stat().st_mtime_ns for path in (run / "metrics.csv", run / "tests/studio/predictions.parquet")}
    main(sweep())
    assert {path: path.stat().st_mtime_ns for path in before} == before
    changed = merge(SMALL, {"data": {"clips_per_face": 1}})
    with pytest.raises(SystemExit):
        main(sweep(overrides=changed))
    said = capsys.readouterr()
    assert "holds a run with other settings; give another --out" in said.err
    assert f"{auroc.value:.3f}" not in (out / "table.md").read_text()  # nothing of before under the settings of now
    assert json.loads((out / "results.json").read_text()) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    taken: dict[str, Any] = {
        "config": [str(ROOT / "configs/classifier.yaml")],
        "checkpoint": str(run / "checkpoints/best.ckpt"),
    }
    taken["overrides"] = {"model": SMALL["model"]}
    main(untrained(sweep(methods={"taken": taken, "still": STILL}, seeds=[0, 1]), tmp_path / "sweep.yaml"))
    rows = [row for row in pq.read_table(out / "results.parquet").to_pylist() if row["forgery"] == "all"]
    blind, again = sorted(rows, key=lambda row: str(row["method"]))  # once each, whatever the seeds
    assert (again["method"], again["train"], again["train_seconds"]) == ("taken", "-", None)
    assert again["video_auroc"] == auroc.value
    assert (blind["method"], blind["video_auroc"]) == ("still", 0.5)
    assert blind["pixel_auroc"] > 0.5


def test_a_killed_sweep_leaves_no_training_behind_and_goes_on_where_it_was(
    sweep: Callable[..., list[str]], tmp_path: Path
) -> None:
    command = sweep(overrides={"trainer": {"max_epochs": 3}})
    run = tmp_path / "sweep/runs/plain/but Swap/0"
    started = subprocess.Popen([sys.executable, "-m", "suite", *command], cwd=ROOT, start_new_session=True)
    for _ in range(600):
        if (run / "checkpoints/last.ckpt").is_file():
            break
        time.sleep(0.2)
    children = psutil.Process(started.pid).children(recursive=True)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert not (run / "tests").exists()
    main(command)
    epochs = [line.split(",")[0] for line in (run / "metrics.csv").read_text().splitlines()[1:]]
    assert sorted(set(epochs)) == ["0", "1", "2"]
    assert (tmp_path / "sweep/table.md").read_text().startswith("| method | trained on | studio |")


def test_a_command_that_ended_before_its_end_is_not_done(prepared: Path, tmp_path: Path, forked_commands: None) -> None:
    fit = small_fit(prepared, tmp_path / "run", "--trainer.max_epochs", "50")
    started = fork(fit, ROOT, os.environ, tmp_path / "out", tmp_path / "err")
    for _ in range(600):
        if (tmp_path / "run/checkpoints/last.ckpt").is_file():
            break
        time.sleep(0.2)
    started.terminate()  # as a scheduler does
    started.join(60)
    assert started.exitcode == 128 + signal.SIGTERM
    product = tmp_path / "x/product"
    (tmp_path / "x").mkdir()
    nothing = Command("studio", tmp_path / "x", [], {}, [], product)
    with pytest.raises(Stopped, match=r"none\.yaml: no such file"):
        nothing.run([tmp_path / "none.yaml"], [], tmp_path)
    with pytest.raises(Stopped, match="studio ended without product"):
        nothing.run([], ["--help"], tmp_path)
    (tmp_path / "x/waiting.txt").write_text("masks: 3 of 3 are missing")
    with pytest.raises(Stopped, match="masks: 3 of 3 are missing"):
        nothing.run([], ["--help"], tmp_path)


def test_settings_are_also_those_of_configs_that_a_config_begins_from(tmp_path: Path) -> None:
    for name, content in (("top", {"base": "middle.yaml"}), ("middle", {"data": {"base": "set.yaml"}}), ("set", {})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    command = Command("fit", tmp_path, [tmp_path / "top.yaml"], {}, [], tmp_path / "product")
    seen = {command.identity()}
    for name in ("set", "middle"):
        with (tmp_path / f"{name}.yaml").open("a") as file:
            file.write("# changed\n")
        seen.add(command.identity())
    assert len(seen) == 3
    (tmp_path / "middle.yaml").write_text(yaml.safe_dump({"base": ["top.yaml", "gone.yaml"]}))
    assert command.identity() not in seen  # that this cannot be trained is for the command to say


def test_predictions_of_an_older_version_are_made_anew_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"prepared": "prepared"}))
    domain, still = (
        DatasetSpec(data=tmp_path / "data.yaml"),
        MethodSpec(config=[ROOT / "configs/face_prior.yaml"], trained=False),
    )
    sweep = Sweep(methods={"still": still}, train={"t": domain}, test={"t": domain}, seeds=[0], overrides=Overrides())
    [job], calls = list(sweep.jobs()), []

    def run(command: Command, *_: object) -> None:
        """Instead of the test: at first as an older version does."""
        calls.append(command.verb)
        for name in ("rows.json", "predictions.parquet"):
            (command.folder / name).unlink(missing_ok=True)
        written = write_run(command.folder)
        if len(calls) == 1:
            change(written, lambda table: table.replace_schema_metadata({}))

    monkeypatch.setattr(Command, "run", run)
    first, second, third = (run_job(sweep, job, tmp_path, tmp_path, set()) for _ in range(3))
    assert [failure.reason.partition("; ")[2] for failure in first.failures] == ["test again: the next call does"]
    assert second.failures == []
    assert second.rows == third.rows
    assert calls == ["test", "test"]


def test_a_test_set_is_tested_degraded_with_faces_found_after_it(
    sweep: Callable[..., list[str]], swaps: Path, prepared_swaps: Path, two_processes: Path, tmp_path: Path
) -> None:
    prepare = {"": {"overrides": {"size": 64, "frames": 8}}}
    command = sweep(
        methods={"plain": {"checkpoint": str(two_processes / "checkpoints/best.ckpt")}},
        test={"studio": {"overrides": {"root": str(swaps), "prepared": str(prepared_swaps)}}},
        degradations={"kinds": ["blur"], "severities": [5], "prepare": prepare},
    )
    main(command)
    out = tmp_path / "sweep"
    rows = [row for row in pq.read_table(out / "results.parquet").to_pylist() if row["forgery"] == "all"]
    assert [(row["degradation"], row["severity"]) for row in rows] == [(None, 0), ("blur", 5)]
    assert rows[0]["pixel_auroc"] != rows[1]["pixel_auroc"]
    assert [row["map_by"] for row in rows] == ["activation"] * 2
    assert 0 < rows[0]["pixel_auroc"] < 1
    assert all(0 < row["coverage"] <= 1 for row in rows)
    made = out / "degraded/studio/blur 5/prepared/manifest.csv"
    before = made.stat().st_mtime_ns
    main(command)
    assert made.stat().st_mtime_ns == before
    assert "| plain | - |" in (out / "table.md").read_text()
    assert (out / "table.md").read_text().count("studio") == 1  # the matrix is of what was not degraded


def test_a_test_set_too_few_of_whose_videos_have_a_face_has_no_figures(
    sweep: Callable[..., list[str]], prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in prepared.iterdir():
        if file.name != "skipped.csv":
            (tmp_path / "data").mkdir(exist_ok=True)
            (tmp_path / "data" / file.name).symlink_to(file)
    key = manifest.rows(manifest.read(prepared / "manifest.csv"))[0].key.rpartition("/")[0]
    (tmp_path / "data/skipped.csv").write_text(f"video,path,reason,bytes,split\n{key}/x,x.mp4,no face,1,test\n")
    there = {"studio": {"overrides": {"prepared": str(tmp_path / "data")}}}
    command = untrained(sweep(methods={"still": STILL}, test=there), tmp_path / "sweep.yaml")
    with pytest.raises(SystemExit):
        main(command)
    assert "% of its videos have a face and a clip, less than min_coverage 99.0%" in capsys.readouterr().err
    assert json.loads((tmp_path / "sweep/results.json").read_text()) == []
    main([*command, "--min_coverage", "0.5"])
    [row] = [row for row in json.loads((tmp_path / "sweep/results.json").read_text()) if row["forgery"] == "all"]
    assert row["video_auroc_as_chance"] == 0.5


def test_a_cluster_plays_a_sweep(
    sweep: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: Command, *_: object) -> None:
        raise AssertionError(f"{command.verb} is run by the process that only waits for the cluster")

    monkeypatch.setattr(Command, "run", run)
    main(untrained(sweep(methods={"still": STILL}, cluster="local"), tmp_path / "sweep.yaml"))
    rows = json.loads((tmp_path / "sweep/results.json").read_text())
    assert {(row["method"], row["test"]) for row in rows} == {("still", "studio")}


def test_the_text_of_a_sweep_is_a_file_that_plans_the_same(
    sweep: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []

    def stop(made: Sweep, *_: Any) -> None:
        texts.append(made.text())
        raise UserError("seen")

    monkeypatch.setattr("suite.benchmark.command.run_sweep", stop)
    optimizer = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
    change = {"model": {"init_args": {"optimizer": optimizer}}}
    for command in (sweep(overrides=change), ["benchmark", "--config", str(tmp_path / "sweep/sweep.yaml")]):
        with pytest.raises(SystemExit):
            main([*command, "--out", str(tmp_path / "sweep")])
    assert texts[0] == texts[1]
    assert "class_path: torch.optim.SGD" in texts[0]  # as it was written
