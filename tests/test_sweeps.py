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

from datamodules.errors import Refused
from suite.__main__ import main
from suite.figures import read_run, verdict
from suite.sweeps.conditions import Condition, Degradations, Preparation
from suite.sweeps.plan import Cell, Domain, Entrant, Sweep
from suite.sweeps.play import Command, Failure, Stopped
from suite.sweeps.settings import Settings, merged
from suite.sweeps.tables import latex, markdown, matrix, table
from tests.conftest import ROOT, preparing, small_fit

SMALL: dict[str, Any] = {
    "model": {"init_args": {"backbone": "test_efficientnet"}},
    "data": {"init_args": {"num_workers": 0, "draws": 2, "eval_clips": 2, "batch_size": 8}},
    "trainer": {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
}


@pytest.fixture
def sweep(prepared: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Arguments of a small sweep; what is changed of it is given."""

    def made(**changes: Any) -> list[str]:
        here = {"data": str(ROOT / "configs/data/studio.yaml"), "change": {"prepared": str(prepared), "root": None}}
        content = {
            "methods": {"plain": {"config": [str(ROOT / "configs/classifier.yaml")]}},
            "train": {"but Swap": merged(here, {"change": {"methods": ["NeuralTexture", "Reenactment"]}})},
            "test": {"studio": here},
            "seeds": [0],
            "change": SMALL,
            "out": str(tmp_path / "sweep"),
        }
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(merged(content, changes)))
        return ["benchmark", "--config", str(tmp_path / "sweep.yaml")]

    return made


def test_what_fails_is_named_and_costs_no_other_and_nothing_is_done_twice(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {"data": str(ROOT / "configs/data/studio.yaml"), "change": {"prepared": str(tmp_path / "gone")}}
    wrong = {"config": [str(ROOT / "configs/classifier.yaml")], "change": {"model": {"init_args": {"bakbone": "x"}}}}
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
    auroc = verdict(read_run(run / "tests/studio"))["video AUROC"]
    whole = by_forgery["all"]
    assert (whole["video_auroc"], whole["video_auroc_low"]) == (auroc.value, auroc.low)
    assert whole["coverage"] == 1
    assert whole["train_seconds"] > 1
    assert (out / "failures.txt").read_text().count("\n") == 2
    assert json.loads((out / "results.json").read_text()) == found

    before = {path: path.stat().st_mtime_ns for path in (run / "metrics.csv", run / "tests/studio/predictions.parquet")}
    main(sweep())
    assert {path: path.stat().st_mtime_ns for path in before} == before
    changed = merged(SMALL, {"data": {"init_args": {"draws": 1}}})
    with pytest.raises(SystemExit):
        main(sweep(change=changed))
    said = capsys.readouterr()
    assert "holds a run with other settings; give another --out" in said.err
    assert f"{auroc.value:.3f}" not in (out / "table.md").read_text()  # nothing of before under the settings of now
    assert json.loads((out / "results.json").read_text()) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    taken = {"config": [str(ROOT / "configs/classifier.yaml")], "checkpoint": str(run / "checkpoints/best.ckpt")}
    command = sweep(methods={"taken": taken}, seeds=[0, 1])
    content = yaml.safe_load((tmp_path / "sweep.yaml").read_text())
    del content["methods"]["plain"]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    main(command)
    [again] = [row for row in pq.read_table(out / "results.parquet").to_pylist() if row["forgery"] == "all"]
    assert (again["method"], again["train"], again["train_seconds"]) == ("taken", "-", None)  # once, whatever the seeds
    assert again["video_auroc"] == auroc.value


def test_a_killed_sweep_leaves_no_training_behind_and_goes_on_where_it_was(
    sweep: Callable[..., list[str]], tmp_path: Path
) -> None:
    command = sweep(change={"trainer": {"max_epochs": 3}})
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


def test_a_command_that_ended_before_its_end_is_not_done(prepared: Path, tmp_path: Path) -> None:
    fit = [sys.executable, "-m", "suite", *small_fit(prepared, tmp_path / "run", "--trainer.max_epochs", "50")]
    started = subprocess.Popen(fit, cwd=ROOT)
    for _ in range(600):
        if (tmp_path / "run/checkpoints/last.ckpt").is_file():
            break
        time.sleep(0.2)
    started.terminate()  # as a scheduler does
    assert started.wait(60) == 128 + signal.SIGTERM
    product = tmp_path / "x/product"
    (tmp_path / "x").mkdir()
    nothing = Command("studio", tmp_path / "x", [], {}, [], product)
    with pytest.raises(Stopped, match=r"none\.yaml: no such file"):
        nothing.run([tmp_path / "none.yaml"], [], tmp_path)
    with pytest.raises(Stopped, match=r"ended without product: was nothing validated\?"):
        nothing.run([], ["--help"], tmp_path)
    (tmp_path / "x/waiting.txt").write_text("masks: 3 of 3 are missing")
    with pytest.raises(Stopped, match="masks: 3 of 3 are missing"):
        nothing.run([], ["--help"], tmp_path)


STUDIO = Domain(data=ROOT / "configs/data/studio.yaml")


def plain(**changes: Any) -> Sweep:
    entrant = Entrant(config=[ROOT / "configs/classifier.yaml"])
    settings: dict[str, Any] = {"methods": {"a": entrant}, "train": {"t": STUDIO}, "test": {"s": STUDIO}}
    return Sweep(**{**settings, "seeds": [0], "change": {}} | changes)


def test_what_one_data_set_says_is_not_left_over_for_another() -> None:
    celeb = Domain(data=ROOT / "configs/data/celeb_df_v2.yaml")
    studio = Domain(data=ROOT / "configs/data/studio.yaml", change=Settings({"methods": ["Swap"]}))
    both = merged(studio.settings(), celeb.settings())["data"]["init_args"]
    assert both["compression"] is None
    assert both["methods"] is None
    assert both["root"] == "data/Celeb-DF-v2"


def test_a_first_stage_is_trained_before_those_that_wait_for_it() -> None:
    entrant = Entrant(config=[ROOT / "configs/classifier.yaml"])
    methods = {"late": Entrant(config=entrant.config, after="early"), "early": entrant, "other": entrant}
    made = plain(methods=methods, seeds=[3, 4])
    order = [cell.method for cell in made.cells()]
    assert order == ["early", "early", "late", "late", "other", "other"]
    settings = made.settings(Cell(method="late", train="t", seed=4), Path("/out"))
    assert settings["model"]["init_args"]["generator_weights"] == "/out/runs/early/t/4/checkpoints/best.ckpt"
    assert settings["seed_everything"] == 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": [1, 1]}, r"seeds \[1, 1\]: must be different"),
        ({"seeds": []}, r"seeds \[\]"),
        ({"train": {}}, "train: there must be at least one"),
        ({"test": {"../x": STUDIO}}, r"test: '\.\./x' cannot be the name of a folder"),
        ({"methods": {"a": Entrant(config=[], after="b")}}, "methods, a: after 'b', which is not among them"),
        ({"methods": {"a": Entrant(config=[], after="a")}}, "methods, a: after 'a', which must not wait"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        plain(**changes)


def test_a_file_that_is_not_there_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    for make in (
        lambda: Entrant(config=[Path("none.yaml")]),
        lambda: Entrant(config=[], checkpoint=Path("none.yaml")),
        lambda: Domain(data=Path("none.yaml")),
    ):
        with pytest.raises(Refused, match=r"none\.yaml: no such file"):
            make()
    (tmp_path / "odd.yaml").write_text("a: 1")
    with pytest.raises(Refused, match=r"odd\.yaml: must have class_path and init_args"):
        plain(train={"odd": Domain(data=tmp_path / "odd.yaml")})


def test_a_method_may_want_other_faces_and_a_first_stage_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "given.ckpt").touch()
    config = [ROOT / "configs/classifier.yaml"]
    methods = {
        "early": Entrant(config=config, checkpoint=tmp_path / "given.ckpt"),
        "late": Entrant(config=config, after="early", preparation="_wide"),
    }
    made = plain(methods=methods, seeds=[0, 1])
    assert [str(cell) for cell in made.cells()] == ["early", *(f"late, trained on t, seed {n}" for n in (0, 1))]
    settings = made.settings(Cell(method="late", train="t", seed=1), Path("/out"))
    assert settings["model"]["init_args"]["generator_weights"] == str(tmp_path / "given.ckpt")
    assert settings["data"]["init_args"]["prepared"] == "data/studio/prepared_wide"


def test_a_test_set_is_tested_degraded_with_faces_found_after_it(
    sweep: Callable[..., list[str]], studio: Path, tmp_path: Path
) -> None:
    here = {"change": {"root": str(studio)}}
    arguments = preparing(studio, tmp_path)
    landmarks = {
        "class_path": "datamodules.faces.DlibLandmarks",
        "init_args": {"path": arguments[arguments.index("--faces.landmarks.path") + 1]},
    }
    prepare = {"": {"change": {"faces": {"landmarks": landmarks}, "size": 64, "frames": 8}}}
    main(sweep(test={"studio": here}, degraded={"kinds": ["blur"], "severities": [5], "prepare": prepare}))
    out = tmp_path / "sweep"
    rows = [row for row in pq.read_table(out / "results.parquet").to_pylist() if row["forgery"] == "all"]
    assert [(row["degradation"], row["severity"]) for row in rows] == [(None, 0), ("blur", 5)]
    assert rows[0]["pixel_auroc"] is None
    assert len({row["video_auroc"] for row in rows}) > 1
    assert all(0 < row["coverage"] <= 1 for row in rows)
    made = out / "degraded/studio/blur 5/prepared/manifest.csv"
    before = made.stat().st_mtime_ns
    main(sweep(test={"studio": here}, degraded={"kinds": ["blur"], "severities": [5], "prepare": prepare}))
    assert made.stat().st_mtime_ns == before
    assert "| plain | but Swap |" in (out / "table.md").read_text()
    assert (out / "table.md").read_text().count("studio") == 1  # the matrix is of what was not degraded


def test_degradations_that_cannot_be_are_refused() -> None:
    with pytest.raises(Refused, match="severity 6: must be from 1 to 5"):
        Degradations(kinds=["blur"], severities=[6])
    wide = Entrant(config=[ROOT / "configs/classifier.yaml"], preparation="_wide")
    with pytest.raises(Refused, match="degraded, prepare: '_wide', which b wants, is not there; '' is"):
        plain(methods={"b": wide}, degraded=Degradations(kinds=["blur"], prepare={"": Preparation()}))


def test_the_matrix_has_means_of_seeds_intervals_of_one_and_failures() -> None:
    def row(method: str, seed: int, value: float | None) -> dict[str, Any]:
        same = {"method": method, "train": "t", "seed": seed, "forgery": "all"}
        same |= {"degradation": None, "severity": 0}
        return {**same, "test": "x|y", "video_auroc": value, "video_auroc_low": 0.6, "video_auroc_high": 0.9}

    failures = [Failure(cell=Cell(method="d_1", train="t", seed=0), test=None, reason="no disk")]
    failures.append(Failure(cell=Cell(method="a", train="t", seed=2), test=Condition(test="x|y"), reason="no disk"))
    found = matrix(
        [row("a", 0, 0.7), row("a", 1, 0.8), row("b", 0, 0.75), row("c", 0, None), row("e", 0, 0.7), row("e", 1, 0.8)],
        failures,
    )
    cells = table(found)
    assert cells == [
        ["method", "trained on", "x|y"],
        ["a", "t", "0.750 (2 of 3 seeds)"],
        ["b", "t", "0.750 [0.600, 0.900]"],
        ["c", "t", "-"],
        ["e", "t", "0.750 ± 0.071"],
        ["d_1", "t", "failed"],
    ]
    assert markdown(cells).splitlines()[0] == r"| method | trained on | x\|y |"
    assert r"d\_1 & t & failed \\" in latex(cells)
    assert r"$\pm$" in latex(cells)


def planned(config: Path, checkpoint: Path) -> Sweep:
    """A benchmark that is shipped, with a file in the place of the checkpoints that have to be trained before."""
    content = yaml.safe_load(config.read_text())

    def domains(kind: str) -> dict[str, Domain]:
        found = {}
        for name, one in content[kind].items():
            change = Settings(one.get("change"))
            # what attributes there are is known once the data set is there
            found[name] = Domain(**one | {"data": Path(one["data"]), "change": change, "attributes": None})
        return found

    methods = {}
    for name, one in content["methods"].items():
        given = {"checkpoint": checkpoint} if "checkpoint" in one else {}
        files, change = [*map(Path, one["config"])], Settings(one.get("change"))
        methods[name] = Entrant(**one | given | {"config": files, "change": change})
    degraded = content.get("degraded", {})
    prepare = {
        name: Preparation(change=Settings(one.get("change"))) for name, one in degraded.pop("prepare", {}).items()
    }
    return Sweep(
        methods=methods,
        train=domains("train"),
        test=domains("test"),
        seeds=content["seeds"],
        change=Settings(content.get("change")),
        degraded=Degradations(**degraded, prepare=prepare),
    )


SHIPPED = sorted((ROOT / "configs/benchmarks").rglob("*.yaml"))


@pytest.mark.parametrize("config", SHIPPED, ids=lambda path: path.stem)
def test_a_benchmark_that_is_shipped_can_be_planned(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "first.ckpt").touch()
    made = planned(config, tmp_path / "first.ckpt")
    for cell in made.cells():
        entrant = made.methods[cell.method]
        names = {file.stem for file in entrant.config}
        assert (entrant.after is not None) == bool(names & {"rffr", "delocate"})
        if entrant.checkpoint is not None:
            continue
        whole = merged(*(yaml.safe_load(file.read_text()) for file in entrant.config[:1]))
        data = made.settings(cell, Path("out"))["data"]["init_args"]
        assert data["prepared"].startswith("data/")
        assert (data["methods"] == []) == bool(names & {"rffr_pretrain", "delocate_recover"})  # real faces alone
        if isinstance(whole["data"], dict) and "synthesis" in whole["data"]["init_args"]:
            assert data["methods"] is None  # likewise
    for condition in made.conditions():
        data = made.data(condition, "", Path("out"))["data"]["init_args"]
        assert data["methods"] is None
        assert data["prepared"].startswith("data/" if condition.kind is None else "out/degraded/")
    assert Sweep(**{**vars(made), "seeds": [7]}).text() != made.text()
