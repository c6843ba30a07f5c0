"""What a user may type wrongly: one line, with the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fixtures.refusing import refused

CLASSIFIER = str(ROOT / "configs/classifier.yaml")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["fti"], "unknown verb 'fti', did you mean 'fit'?"),
        (["fit", "--config", "configs/clasifier.yaml"], "no such file, did you mean 'configs/classifier.yaml'?"),
        (
            ["fit", "--config", CLASSIFIER, "--trainer.max_epoch", "3"],
            "'trainer.max_epoch', did you mean 'trainer.max_epochs'?",
        ),
        (["fit", "--config", CLASSIFIER, "--model.backbon", "x"], "no argument 'backbon', did you mean 'backbone'?"),
        (
            ["fit", "--config", CLASSIFIER, "--data.compresion", "c40"],
            "unknown key 'data.compresion', did you mean 'data.compression'?",
        ),
        (
            ["fit", "--config", CLASSIFIER, "--model.class_path", "lightning_modules.classifier.Clasifier"],
            "did you mean 'lightning_modules.classifier.Classifier'?",
        ),
        (
            ["fit", "--config", CLASSIFIER, "--model.class_path", "lightning_modules.clasifier.Classifier"],
            "did you mean 'lightning_modules.classifier.Classifier'?",
        ),
        (
            ["fit", "--config", CLASSIFIER, "--model.optimizer", "torch.optim.AdanW"],
            "there is no function 'torch.optim.AdanW', did you mean 'torch.optim.AdamW'?",
        ),
        (
            ["fit", "--config", CLASSIFIER, "--model.class_path", "needs_what_is_not_there.Method"],
            "needs_what_is_not_there.Method cannot be imported: No module named 'not_installed_here'",
        ),
        (
            ["fit", "--config", CLASSIFIER, "--model.class_path", "lightning_modules.metrics.registri.Metric"],
            "did you mean 'lightning_modules.metrics.registry.Metric'?",
        ),
        (
            ["fit", "--config", CLASSIFIER, "--model.backbone", "tf_eficientnet_b4"],
            "no such timm model, did you mean tf_efficientnet_b4",
        ),
        (["fit", "--config", CLASSIFIER, "--data.prepared", "/nowhere"], "/nowhere/contract.json: missing; run"),
        (["studio", "--ou", "x"], "unknown key 'ou', did you mean 'out'?"),
        (["studio", "--out", "x", "--difficulty", "3"], "--difficulty 3.0: must be between 0 and 1"),
        (["fit"], "give --config, for instance --config configs/classifier.yaml"),
        (
            ["fit", "--config", CLASSIFIER, "--model", "lightning_modules.classifier.Clasifier"],
            "classifier.Classifier'?",
        ),
        (["fit", "--config", CLASSIFIER, "--model", "Clasifier"], "mean 'lightning_modules.classifier.Classifier'?"),
        (
            ["fit", "--config", CLASSIFIER, "--trainer.precision", "bf17"],
            "bf16, did you mean 'bf16'?",
        ),
        (
            ["fit", "--config", CLASSIFIER, "--trainer.max_epochs", "x"],
            "max_epochs 'x': must be a whole number",
        ),
        (["fit", "--config", CLASSIFIER, "--model.optimizer.lr", "x"], "model.optimizer.lr 'x': must be a number"),
        (
            ["fit", "--config", CLASSIFIER, "--data.methods", "Swapp"],
            "'Swapp': must be a list, such as [Swapp]",
        ),
        (["fit", "--config", CLASSIFIER, "--data.index", "datamodules.datasets.ffp.index"], "datasets.ffpp.index'?"),
        (
            ["fit", "--config", CLASSIFIER, "--data.synthesis.size", "64"],
            "data.synthesis has no class yet; give --data.synthesis first, for instance datamodules.synthesis.",
        ),
        (["prepare", "--out", "x"], "unknown key 'out', did you mean 'data.prepared'?"),
        (
            ["prepare", "--data", f"{ROOT}/configs/data/studio.yaml", "--faces.landmarks.path", "x"],
            "faces.landmarks has no class yet; give --faces.landmarks first, for instance datamodules.faces.landmarks.",
        ),
        (["studio", "--size", "smal"], "size 'smal': must be one of tiny, small, medium, did you mean 'small'?"),
        (["report", "configss"], "configss: no such folder, did you mean 'configs'?"),
        (["convert", "laa_nett", "x.pth"], "did you mean 'laa_net'?"),
        (["export", "--checkpoint", CLASSIFIER, "--format", "onxx"], "did you mean 'onnx'?"),
        (
            ["benchmark", "--config", f"{ROOT}/benchmarks/cross_dataset.yaml", "--overrides.trainer.max_epochs", "1"],
            "overrides: give it as one value, for instance --overrides '{NAME: VALUE}'",
        ),
        (["prepare", "--data", f"{ROOT}/configs/data/studo.yaml"], "studo.yaml: no such file, did you mean"),
        (
            ["doctor", "--data", f"{ROOT}/configs/data/table.yaml", "--data.root", "/nowhere"],
            "/nowhere: no such folder",
        ),
        (
            ["doctor", "--data", f"{ROOT}/configs/data/table.yaml", "--data.root", f"{ROOT}/tests"],
            "tests/videos.csv: missing",
        ),
        (
            ["prepare", "--data", f"{ROOT}/configs/data/uadfv.yaml", "--data.root", "/nowhere"],
            "/nowhere: no such folder",
        ),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_right_name(
    arguments: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "classifier.yaml").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "needs_what_is_not_there.py").write_text("import not_installed_here")
    assert reason in refused(capsys, *arguments)


def test_what_a_class_still_needs_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(
        capsys, "fit", "--model", "lightning_modules.classifier.Classifier", "--data", "datamodules.face_data.FaceData"
    )
    assert "data: give prepared, the folder that 'prepare' filled, or 'sets', several of them" in said


def test_a_bad_key_in_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("trainer: {max_epoch: 3}\n")
    assert "'trainer.max_epoch', did you mean 'trainer.max_epochs'?" in refused(
        capsys, "fit", "--config", str(tmp_path / "c.yaml")
    )
