"""What a stranger's detector names is refused before it is imported, fetched or called."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from suite.__main__ import main
from tests.conftest import ROOT
from tests.fixtures.hub_folders import MODEL, write_hub_folder, write_run
from tests.fixtures.pickled_code import Code
from tests.fixtures.second_proofs import mark_slow

PACKAGES = ("callbacks", "datamodules", "lightning_modules", "suite")
MAE = {"class_path": "lightning_modules.mae.network.MAE"}


def of(class_path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": arguments}


def classifier(**arguments: Any) -> dict[str, Any]:
    return of(MODEL["class_path"], **(MODEL["init_args"] | arguments))


def rffr(**arguments: Any) -> dict[str, Any]:
    return of("lightning_modules.rffr.method.RFFR", **arguments)


# name: the model section, and what the line must name
CASES: dict[str, tuple[Any, str]] = {
    "a module of the current folder": (of("canary.X"), "canary.X"),
    "a module inside the folder": (of("detector.pwn.X"), "detector.pwn.X"),
    "a module that shadows a package": (of("lightning_modules.canary.X"), "lightning_modules.canary.X"),
    "a function of the suite": (of("suite.pretrained.from_pretrained", name="a/b"), "suite.pretrained"),
    "a function of its methods": (of("lightning_modules.hub_folder.fetch", name="a/b"), "fetch"),
    "a function of the system": (of("os.system", command="touch mark"), "os.system"),
    "a built-in": (of("builtins.eval"), "builtins.eval"),
    "a class of the suite that is no method": (of("lightning_modules.mae.network.MAE"), "MAE"),
    "a class that a module of the suite imports": (of("lightning_modules.classifier.Method"), "Method"),
    "a class without its package": (of("Classifier"), "Classifier"),
    "a class with a strange name": (of("lightning_modules.classifier.Classifier.__init__"), "__init__"),
    "a nested module of the current folder": (rffr(generator=of("canary.X")), "canary.X"),
    "a nested class of another kind": (rffr(generator=of("lightning_modules.mae.masking.Blocks")), "Blocks"),
    "a class-typed argument that is a URL": (rffr(generator="http://127.0.0.1:9/g.yaml"), "http://127.0.0.1:9"),
    "a class-typed argument that fsspec would read": (rffr(generator="reference://x"), "reference://x"),
    "a class-typed argument that is a file": (rffr(generator="canary.yaml"), "canary.yaml"),
    "a class-typed argument that is a name": (rffr(generator="canary.X"), "canary.X"),
    "settings that are a file": (classifier(framing="canary.yaml"), "canary.yaml"),
    "settings that are a URL": (classifier(framing="hf://a/b"), "hf://a/b"),
    "weights that are a URL": (classifier(trunk_weights="https://127.0.0.1:9/w.pth"), "https://127.0.0.1:9"),
    "nested weights that are a file": (rffr(generator=of(MAE["class_path"], weights="canary.pt")), "weights"),
    "a network of the hub": (classifier(backbone="hf_hub:a/b"), "hf_hub:a/b"),
    "a network of the hub as a tag": (classifier(backbone="test_resnet.hf-hub:a/b"), "test_resnet.hf-hub:a/b"),
    "a network of a folder": (classifier(backbone="local-dir:/tmp"), "local-dir:/tmp"),
    "an argument that a network takes": (classifier(checkpoint_path="x.pth"), "checkpoint_path"),
    "arguments that nothing checks": (MODEL | {"dict_kwargs": {"checkpoint_path": "x"}}, "dict_kwargs"),
    "a config within the config": (MODEL | {"__path__": "canary.yaml"}, "__path__"),
    "arguments that are a file": (MODEL | {"init_args": "canary.yaml"}, "canary.yaml"),
    "a model that is a file": ("canary.yaml", "canary.yaml"),
    "a list of models": ([MODEL], "model"),
    "an abstract class": (of("lightning_modules.base.Method"), "lightning_modules.base.Method"),
    "a callable": (classifier(optimizer=of("os.system")) | {"class_path": "os.system"}, "os.system"),
    "a detector that is code": (
        of("lightning_modules.foreign_detector.ForeignDetector", detector="canary:X"),
        "lightning_modules.foreign_detector.ForeignDetector",
    ),
    "bytes in base 64": (classifier(backbone={"__base64__": "AAAA"}), "backbone"),
    "more values than any method has": (classifier(mean=[0.5] * 100_000), "values"),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hub_folder(tmp_path_factory.mktemp("hub") / "detector")


@pytest.fixture
def here(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with code in it that nobody asked for, and a network that must not be reached."""
    shutil.copytree(hub, tmp_path / "detector")
    for name in ("canary.py", "detector/pwn.py", "lightning_modules/canary.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("open('mark', 'w')\n\n\nclass X: ...\n")
    (tmp_path / "canary.yaml").write_text("class_path: canary.X\n")
    (tmp_path / "clip.mp4").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse_network)
    monkeypatch.setattr(socket, "getaddrinfo", refuse_network)
    yield tmp_path
    assert not (tmp_path / "mark").exists()


def refuse_network(*_: Any, **__: Any) -> None:
    raise AssertionError("something reached for the network")


def put(model: Any, folder: Path) -> Path:
    """Into the folder of a detector, or into a run."""
    file = folder / "config.json"
    if file.is_file():
        file.write_text(json.dumps(json.loads(file.read_text()) | {"model": model}))
        return file
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": model}))
    return folder / "config.yaml"


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that is said."""
    capsys.readouterr()
    before = set(sys.modules)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    new = {name for name in set(sys.modules) - before if name.partition(".")[0] not in PACKAGES}
    assert not new
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_good_one_is_loaded(here: Path) -> None:
    from lightning_modules.trained_method import load

    run = write_run(here / "detector", here / "run")
    assert load(here / "detector").digest == load(run).digest


def test_what_an_older_version_fetched_weights_by_does_nothing(here: Path) -> None:
    from lightning_modules.trained_method import load

    put(classifier(pretrained=True, trunk_weights="hub"), here / "detector")
    assert "pretrained" not in load(here / "detector").model["init_args"]


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_folder_costs_one_line(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, value = CASES[name]
    file = put(model, here / "detector")
    said = refusal(["detect", "clip.mp4", "--checkpoint", "detector", "--out", "out"], capsys)
    assert "config.json" in said
    assert value in said
    assert len(said) < 400
    assert file.parent.name == "detector"


@pytest.mark.parametrize("verb", ["detect", "export"])
def test_a_hostile_run_costs_one_line(verb: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(here / "detector", here / "run")
    put(of("canary.X"), run)
    begin = ["detect", "clip.mp4", "--out", "out"] if verb == "detect" else ["export"]
    said = refusal([*begin, "--checkpoint", "run"], capsys)
    assert "run/config.yaml" in said
    assert "canary.X" in said


TAGS: dict[str, Callable[[], str]] = {
    "a tag of Python": lambda: "model: !!python/object/apply:os.system ['touch mark']\n",
    "a class of Python": lambda: "model: !!python/name:canary.X\n",
    "an alias that holds itself": lambda: "model: &a {class_path: *a, init_args: *a}\n",
    "a text of aliases": lambda: (
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(9))
        + "model: {class_path: lightning_modules.classifier.Classifier, init_args: {mean: *a9}}\n"
    ),
}


@pytest.mark.parametrize("name", TAGS)
def test_yaml_of_a_run_holds_plain_values(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(here / "detector", here / "run")
    (run / "config.yaml").write_text(TAGS[name]())
    assert "run/config.yaml" in refusal(["detect", "clip.mp4", "--checkpoint", "run", "--out", "out"], capsys)


BY_COMMAND = ["a module of the current folder", "a class-typed argument that is a URL"]


@pytest.mark.parametrize("name", mark_slow(BY_COMMAND, BY_COMMAND[1:]))
def test_the_command_refuses_it_too(name: str, here: Path) -> None:
    model, value = CASES[name]
    put(model, here / "detector")
    command = [sys.executable, "-m", "suite", "detect", "clip.mp4", "--checkpoint", "detector", "--out", "out"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=here, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120
    )
    assert done.returncode == 2
    assert value in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_a_checkpoint_says_of_classes_is_not_believed(here: Path) -> None:
    from lightning_modules.trained_method import load

    run = write_run(here / "detector", here / "run")
    path = run / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=True)
    hyper_parameters = {"_class_path": "canary.X", "_instantiator": "canary.X", "generator": "http://127.0.0.1:9/x"}
    torch.save(content | {"hyper_parameters": hyper_parameters}, path)
    assert load(run).digest == load(here / "detector").digest


@pytest.mark.parametrize("file", ["run/checkpoints/best.ckpt", "detector/model.safetensors", "official.pth"])
def test_a_pickle_with_code_is_not_run(file: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(here / "detector", here / "run")
    torch.save({"state_dict": {"a": Code(here / "mark")}, "epoch": 0, "global_step": 0}, here / file)
    verb = ["convert", "rffr", file] if file == "official.pth" else ["export", "--checkpoint", file.split("/")[0]]
    assert Path(file).name in refusal(verb, capsys)
