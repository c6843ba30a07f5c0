"""Every benchmark that is shipped: read as a user reads it, and each of its trainings a config that 'fit' takes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from datamodules.runtime.errors import UserError
from suite.__main__ import main
from suite.benchmark.plan import Sweep
from tests.conftest import ROOT
from tests.fixtures.configs import read_config

SHIPPED = sorted((ROOT / "benchmarks").rglob("*.yaml"))
BEFORE = [f"runs/recover_{name}/checkpoints/best.ckpt" for name in ("blocks", "parts", "anywhere", "blocks_studio")]


@pytest.mark.parametrize("config", SHIPPED, ids=lambda path: path.stem)
def test_a_benchmark_that_is_shipped_can_be_played(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for name in (*BEFORE, "data/cast/attributes.csv"):  # what has to be there before
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("identity,skin\n000,dark\n")
    monkeypatch.chdir(tmp_path)
    plans: list[Sweep] = []

    def stop(made: Sweep, *_: Any) -> None:
        plans.append(made)
        raise UserError("seen")

    monkeypatch.setattr("suite.benchmark.command.run_sweep", stop)
    with pytest.raises(SystemExit):
        main(["benchmark", "--config", str(config)])
    [made] = plans
    tried = set()
    for cell in made.jobs():
        entrant = made.methods[cell.method]
        names = {file.stem for file in entrant.config}
        assert (entrant.generator_from is not None) == bool(names & {"rffr", "delocate"})
        settings = made.settings(cell, Path("out"))
        if entrant.is_trained_here:
            data = settings["data"]
            assert data["prepared"].startswith("data/")
            assert (data["methods"] == []) == bool(names & {"rffr_pretrain", "delocate_pretrain"})  # real faces alone
            whole = read_config(entrant.config[0])
            if "synthesis" in whole["data"]:
                assert data["methods"] is None  # likewise
        if cell.method not in tried:
            tried.add(cell.method)
            (tmp_path / "changed.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
            files = [word for file in (*entrant.config, tmp_path / "changed.yaml") for word in ("--config", str(file))]
            with pytest.raises(SystemExit) as ended:
                main(["fit" if entrant.is_trained_here else "test", *files, "--print_config"])
            assert ended.value.code in (0, None), capsys.readouterr().err
    for condition in made.conditions():
        data = made.data(condition, "", Path("out"))["data"]
        assert data["methods"] is None
        assert data["prepared"].startswith("data/" if condition.kind is None else "out/degraded/")


def test_each_training_of_the_first_stages_is_one_that_fit_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said, stub = tmp_path / "said", tmp_path / "python"
    stub.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    stub.chmod(0o700)
    script = ["sh", "benchmarks/studio/first_stages.sh", "people"]
    subprocess.run(script, cwd=ROOT, env={**os.environ, "PYTHON": str(stub)}, check=True)
    fits = [words[2:] for line in said.read_text().splitlines() if (words := line.split(" "))[2] == "fit"]
    made = [f"{words[words.index('--run') + 1]}/checkpoints/best.ckpt" for words in fits]
    assert set(made) >= set(BEFORE)
    monkeypatch.chdir(ROOT)
    for words in fits:
        if "--model.weights" in words:  # of a training before it
            assert made.index(words[words.index("--model.weights") + 1]) < fits.index(words)
        with pytest.raises(SystemExit) as ended:
            main([*words, "--print_config"])
        assert ended.value.code in (0, None), capsys.readouterr().err


def test_rows_of_the_foundation_benchmark_differ_in_what_is_tuned_and_how_alone() -> None:
    methods = yaml.safe_load((ROOT / "benchmarks/foundation.yaml").read_text())["methods"]
    whole = read_config(ROOT / "configs/classifier_clip.yaml")["model"]["init_args"]
    tuned = {}
    for name, method in methods.items():
        assert method["config"] == ["configs/classifier_clip.yaml"]
        changes = method.get("overrides", {"model": {"init_args": {}}})
        assert changes.keys() == {"model"}
        assert changes["model"]["init_args"].keys() <= {"tune", "optimizer"}
        tuned[name] = changes["model"]["init_args"].get("tune", whole["tune"])
    assert tuned == {"probe": "none", "norms": "norms", "LoRA": "lora", "Effort": "directions"}


def test_all_published_methods_and_their_controls_are_in_the_cross_dataset_benchmark() -> None:
    methods = yaml.safe_load((ROOT / "benchmarks/cross_dataset.yaml").read_text())["methods"]
    used = {Path(file).stem for method in methods.values() for file in method["config"]}
    every = {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    # what has weights of its own, no training at full size, or is trained in one of the others
    others = {"classifier", "detector", "face_prior", "foreign_detector", "localizer", "laa_net_bi"}
    assert every - used == others
