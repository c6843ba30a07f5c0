"""What is exported says what torch says, and can be read again."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.export import ExportedProgram

from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from lightning_modules.base import Method, Prediction
from lightning_modules.classifier import Classifier
from lightning_modules.lae.method import LAE
from lightning_modules.localizer import Localizer
from lightning_modules.mae.block_grid import Grid
from lightning_modules.st_ddl.method import STDDL
from lightning_modules.trained_method import Trained, load
from suite.__main__ import main
from suite.export import command, formats
from suite.export.command import export, measure_difference
from suite.export.deploy import Deployed, example, trace, write
from suite.export.formats.base import find_formats
from tests.fixtures.detecting import classifier
from tests.fixtures.runs import write_run
from tests.fixtures.second_proofs import mark_slow
from tests.fixtures.tiny_delocate import tiny as delocate
from tests.fixtures.tiny_fakestormer import tiny as fakestormer
from tests.fixtures.tiny_laa_net import CUT
from tests.fixtures.tiny_laa_net import tiny as laa_net
from tests.fixtures.tiny_rffr import tiny as rffr


def made(method: Method, size: int, clip: int = 1) -> Trained:
    contract: dict[str, Any] = {"size": size, "clip": clip, "every": 1}
    method.video_slope.fill_(0.6)
    method.video_bias.fill_(-0.3)
    about: dict[str, Any] = {"model": {}, "stored": None, "trained_on": [], "digest": ""}
    return Trained(path=Path("made"), method=method.eval(), contract=contract, **about)


METHODS: dict[str, tuple[Callable[[], Method], int]] = {  # and how many things each says
    "classifier": (lambda: Classifier(backbone="test_resnet", framing=CUT), 4),
    "transformer": (lambda: Classifier(backbone="test_vit", framing=CUT), 3),  # a map takes a gradient
    "localizer": (lambda: Localizer(backbone="test_resnet", map_width=8, framing=CUT), 4),
    "lae": (lambda: LAE(size=64, widths=[8, 8, 8, 16], latent=8), 4),
    "laa_net": (laa_net, 4),
    "rffr": (lambda: rffr(grid=Grid(patches=8, block=4, border=0)), 4),
    "delocate": (delocate, 4),
    "fakestormer": (fakestormer, 4),
}
CLIP = {"fakestormer": 4}  # frames, where there are several


@functools.lru_cache
def make_traced(name: str) -> tuple[Trained, ExportedProgram]:
    """A network and its program, which all engines are written from: tracing takes longest."""
    torch.manual_seed(0)
    trained = made(METHODS[name][0](), 64, CLIP.get(name, 1))
    return trained, trace(trained)


@pytest.mark.parametrize("logit", [-40.0, 0.7, 40.0])
def test_a_score_that_is_quite_sure_is_calibrated_as_elsewhere(logit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = made(Classifier(backbone="test_resnet"), 64)
    monkeypatch.setattr(trained.method, "predict", lambda batch: Prediction(logit=torch.full((1,), logit)))
    _, score, probability = Deployed(trained)(torch.zeros(1, 1, 3, 64, 64))
    assert float(probability) == pytest.approx(trained.calibrate(float(score)), abs=1e-4)


LONG = {(name, "onnx") for name in METHODS.keys() - {"classifier", "transformer"}} | {("delocate", "torch.export")}
BOTH = [(name, engine) for name in METHODS for engine in ("onnx", "torch.export")]


@pytest.mark.parametrize("case", mark_slow(BOTH, LONG), ids="-".join)
def test_another_engine_says_the_same_of_any_number_of_faces(case: tuple[str, Any], tmp_path: Path) -> None:
    name, engine = case
    trained, program = make_traced(name)
    if (name, engine) == ("delocate", "onnx"):
        with pytest.raises(UserError, match="Delocate has operations that ONNX lacks"):
            write(trained, program, find_formats()[engine], tmp_path)
        return
    form = find_formats()[engine]
    run = form.load(write(trained, program, form, tmp_path))
    for batch in (1, 3):
        inputs = example(trained, batch)
        with torch.inference_mode():
            wanted = Deployed(trained).eval()(*inputs)
        found = run(*inputs)
        assert len(found) == len(wanted) == METHODS[name][1]
        for ours, theirs in zip(wanted, found, strict=True):
            torch.testing.assert_close(torch.from_numpy(theirs), ours, atol=1e-4, rtol=0)
    log_odds, score, probability = map(torch.from_numpy, found[:3])
    torch.testing.assert_close(score, log_odds.sigmoid(), atol=1e-4, rtol=0)
    torch.testing.assert_close(probability, (0.6 * log_odds - 0.3).sigmoid(), atol=1e-4, rtol=0)
    if not trained.method.needs_landmarks:
        with torch.inference_mode():
            torch.testing.assert_close(log_odds, trained.method(inputs[0]).logit, atol=1e-4, rtol=0)


def test_a_network_that_says_no_number_is_not_like_torch() -> None:
    trained = made(Classifier(backbone="test_resnet"), 64)
    alike = Deployed(trained).eval()
    with torch.inference_mode():
        assert measure_difference(trained, lambda *x: [one.numpy() for one in alike(*x)]) == 0.0
        assert np.isnan(measure_difference(trained, lambda *x: [one.numpy() * np.nan for one in alike(*x)]))
        assert measure_difference(trained, lambda *x: [one.numpy() + 0.01 for one in alike(*x)]) == pytest.approx(
            0.01, rel=0.1
        )


def test_what_cannot_be_exported_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="STDDL cannot be exported"):
        trace(made(STDDL(trunk="test_resnet", width=32), 64, clip=3))


def test_a_folder_for_the_hub_is_read_again_and_says_what_it_is(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load(classifier(FaceData(prepared=prepared), tmp_path / "mine"))
    table = write_run(tmp_path / "tested") / "predictions.parquet"
    told = [
        "export",
        "--checkpoint",
        str(before.path),
        "--out",
        str(tmp_path / "hub"),
        "--tested_run",
        str(table.parent),
    ]
    with pytest.raises(SystemExit):
        main(told)
    assert "was tested with other weights" in capsys.readouterr().err
    content = pq.read_table(table)
    about = {**content.schema.metadata, b"weights": before.digest.encode()}
    pq.write_table(content.replace_schema_metadata(about), table)
    main(told)
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    after = load(tmp_path / "hub")
    assert (after.digest, after.contract, after.trained_on) == (before.digest, before.contract, before.trained_on)
    frames = torch.rand(2, 1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(after.method(frames).logit, before.method(frames).logit)
    card = (tmp_path / "hub/README.md").read_text()
    assert "| video AUROC | 0." in card
    assert f"A detector of face forgeries, trained on {before.training_summary}." in card
    assert "studio/Swap" in card
    assert "license: unknown" in card
    assert "&#" not in card  # it is no page
    content = json.loads((tmp_path / "hub/config.json").read_text())
    content["model"]["init_args"]["backbone"] = "test_vit"
    (tmp_path / "hub/config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"weights do not fit lightning_modules\.classifier\.Classifier"):
        load(tmp_path / "hub")


def test_the_command_checks_measures_and_describes(
    two_processes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["export", "--checkpoint", str(two_processes), "--format", "torch.export", "--out", str(tmp_path / "out")]
    main(told)
    assert "differs from torch by at most" in capsys.readouterr().out
    about = json.loads((tmp_path / "out/model.json").read_text())
    assert [row["batch"] for row in about["milliseconds"]] == [1, 8, 32]
    assert about["apart"] < 1e-4
    assert about["contract"]["margin"] == 1.3
    assert "| 32 | " in (tmp_path / "out/README.md").read_text()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert sorted(before) == ["README.md", "model.json", "model.pt2"]
    monkeypatch.setattr(command, "PARITY", -1.0)
    with pytest.raises(SystemExit):
        main(told)
    assert "model.pt2: differs from torch by" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(SystemExit):
        main(["export", "--checkpoint", str(tmp_path)])
    assert "no run: " in capsys.readouterr().err


def test_a_file_beside_the_formats_is_one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from suite.export.formats.torch_export import TorchExport\n\n\n"
        "class Mine(TorchExport):\n    name, file = 'mine', 'model.mine'\n"
    )
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    assert set(find_formats()) == {"onnx", "torch.export", "mine"}


def test_a_format_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"format 'onxx': must be one of .*onnx.*, hub, space, did you mean 'onnx'\?"):
        export(tmp_path / "none.ckpt", format="onxx")
