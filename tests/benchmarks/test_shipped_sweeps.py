"""Every benchmark that is shipped: read as a user reads it, and each of its trainings a config that 'fit' takes."""

from __future__ import annotations

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
