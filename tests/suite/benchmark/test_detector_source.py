"""A detector outside the suite is tested again once its code has changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from suite.benchmark.conditions import Condition
from suite.benchmark.detector_source import hash_source
from suite.benchmark.overrides import Overrides
from suite.benchmark.plan import DatasetSpec, MethodSpec, Sweep
from suite.benchmark.runner import Command
from tests.conftest import ROOT

CODE = "raise ValueError('is not run to be found')\ndef create(): return lambda images: images.mean((1, 2, 3)) / 255\n"


def test_a_finished_test_of_a_detector_is_done_again_once_its_code_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DatasetSpec(data=ROOT / "configs/data/studio.yaml")
    methods = {"mine": MethodSpec(detector="mine:create")}
    sweep = Sweep(methods=methods, train={"t": spec}, test={"people": spec}, seeds=[0], overrides=Overrides())
    [job] = sweep.jobs()
    folder = job.test_folder(tmp_path / "out", Condition(test="people"))
    command = Command("test", folder, [], sweep.settings(job, tmp_path / "out"), [], folder / "predictions.parquet")
    tested = []
    monkeypatch.setattr(Command, "run", lambda self, *given: tested.append(self.verb))
    code = tmp_path / "mine.py"
    for content, count in ((CODE, 1), (CODE, 1), (CODE.replace("255", "256"), 2)):
        code.write_text(content)
        command.go(tmp_path)
        assert len(tested) == count
    assert "mine" not in sys.modules


@pytest.mark.parametrize("file", ["mine.py", "mine/__init__.py", "mine/inner.py", "mine/inner/__init__.py"])
@pytest.mark.parametrize("is_package", [True, False])
def test_the_source_is_that_of_the_module_itself(file: str, is_package: bool, tmp_path: Path) -> None:
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert hash_source(f"{name}:create", tmp_path) is None
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_package and path.parent != tmp_path:
        (tmp_path / "mine/__init__.py").touch()
    path.write_text(CODE)
    first = hash_source(f"{name}:create", tmp_path)
    path.write_text(CODE + "\n")
    assert None not in (first, second := hash_source(f"{name}:create", tmp_path))
    assert first != second
    assert hash_source(f"{name}.other:create", tmp_path) is None


def test_the_source_of_what_is_installed_is_found_too(tmp_path: Path) -> None:
    assert hash_source("email.mime.text:MIMEText", tmp_path) is not None
    assert hash_source("no module:create", tmp_path) is None
