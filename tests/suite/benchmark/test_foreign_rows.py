"""Scores and detectors of others as rows of a sweep, beside a method that was trained in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from datamodules import manifest
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError
from suite.__main__ import main
from suite.benchmark.overrides import Overrides
from suite.benchmark.plan import DatasetSpec, MethodSpec, Sweep
from tests.conftest import ROOT

GREEN = "tests.fixtures.green_detector:create"
SMALL: dict[str, Any] = {
    "model": {"init_args": {"backbone": "test_efficientnet"}},
    "data": {"num_workers": 0, "clips_per_face": 2, "eval_clips": 2, "batch_size": 8},
    "trainer": {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False, "callbacks": []},
}
SMALL["trainer"]["callbacks"] = [{"class_path": "callbacks.familiarity.KnowTraining", "init_args": {"faces": 32}}]


@pytest.fixture
def tested(prepared: Path) -> list[Video]:
    rows = manifest.rows(manifest.read(prepared / "manifest.csv"))
    return [row for row in rows if row.split == "test"]


def write_scores(path: Path, tested: list[Video]) -> dict[str, float]:
    rng = np.random.default_rng(0)
    scores = {row.key: round(float(rng.uniform(0, 0.7)) + 0.3 * row.label, 4) for row in tested}
    path.write_text("video,score\n" + "".join(f"{key},{score}\n" for key, score in scores.items()))
    return scores


def write_sweep(prepared: Path, tested: list[Video], out: Path, methods: dict[str, Any]) -> list[str]:
    attributes = out / "attributes.csv"
    attributes.write_text(
        "video,half\n" + "".join(f"{row.key},{'one' if i % 2 else 'other'}\n" for i, row in enumerate(tested))
    )
    there = {"data": str(ROOT / "configs/data/studio.yaml"), "overrides": {"prepared": str(prepared), "root": None}}
    content: dict[str, Any] = {
        "methods": methods,
        "train": {"studio": there},
        "test": {"people": there | {"attributes": str(attributes)}},
    }
    content |= {"seeds": [0], "overrides": SMALL, "min_validation_auroc": 0.0, "out": str(out / "sweep")}
    (out / "sweep.yaml").write_text(yaml.safe_dump(content))
    return ["benchmark", "--config", str(out / "sweep.yaml")]


def test_scores_of_others_and_a_function_are_rows_as_those_of_a_training_are(
    prepared: Path, tested: list[Video], tmp_path: Path, few_resamples: None, forked_commands: None
) -> None:
    scores = write_scores(tmp_path / "theirs.csv", tested)
    methods: dict[str, Any] = {
        "ours": {"config": [str(ROOT / "configs/classifier.yaml")]},
        "theirs": {"scores": {"people": str(tmp_path / "theirs.csv")}},
        "green": {"detector": GREEN},
    }
    main(write_sweep(prepared, tested, tmp_path, methods))
    out = tmp_path / "sweep"
    rows = {row["method"]: row for row in json.loads((out / "results.json").read_text()) if row["forgery"] == "all"}
    assert rows.keys() == methods.keys()
    expected = roc_auc_score([row.label for row in tested], [scores[row.key] for row in tested])
    assert rows["theirs"]["video_auroc"] == pytest.approx(expected, abs=1e-6)
    assert rows["theirs"]["video_auroc_low"] < expected < rows["theirs"]["video_auroc_high"]
    assert (rows["theirs"]["coverage"], rows["theirs"]["test_seconds"]) == (1.0, None)
    assert 0 < rows["green"]["pixel_auroc"] < 1
    # of unseen forgeries nothing is claimed of methods whose training nobody knows
    [family] = json.loads((out / "claims.json").read_text())
    pairs = {frozenset((one["ours"], one["theirs"])) for one in family["claims"]}
    assert pairs == {frozenset(pair) for pair in (("ours", "theirs"), ("ours", "green"), ("theirs", "green"))}
    groups = json.loads((out / "groups.json").read_text())
    assert {(row["method"], row["group"]) for row in groups} == {(m, g) for m in methods for g in ("one", "other")}
    page = (out / "report.html").read_text()
    matrix = page[page.index('id="matrix"') : page.index('id="training"')]
    low, high = (f"{rows['theirs'][f'video_auroc_{end}']:.3f}" for end in ("low", "high"))
    assert f"{expected:.3f} [{low}, {high}]" in matrix.replace("\u00a0", " ")
    assert all(f">{name}<" in matrix for name in methods)
    assert "green over theirs" in page or "theirs over green" in page

    # the folder that came of it is scores, too, and changed scores are read again
    table = out / "runs/theirs/-/0/tests/people"
    (tmp_path / "theirs.csv").write_text("video,score\n" + "".join(f"{row.key},{row.label}\n" for row in tested))
    methods = {"copied": {"scores": {"people": str(table)}}, "theirs": methods["theirs"]}
    main([*write_sweep(prepared, tested, tmp_path, {"copied": methods["copied"]}), "--out", str(tmp_path / "second")])
    [row] = [row for row in json.loads((tmp_path / "second/results.json").read_text()) if row["forgery"] == "all"]
    assert (row["method"], row["video_auroc"]) == ("copied", pytest.approx(expected, abs=1e-6))
    main(write_sweep(prepared, tested, tmp_path, {"theirs": methods["theirs"]}))
    [row] = [row for row in json.loads((out / "results.json").read_text()) if row["forgery"] == "all"]
    assert row["video_auroc"] == 1.0


def test_scores_that_are_wrong_are_a_failure_of_their_row_alone(
    prepared: Path,
    tested: list[Video],
    tmp_path: Path,
    few_resamples: None,
    forked_commands: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_scores(tmp_path / "good.csv", tested)
    write_scores(tmp_path / "few.csv", tested[1:])
    (tmp_path / "odd.csv").write_text("video,score\nnobody.mp4,0.5\n")
    methods = {name: {"scores": {"people": str(tmp_path / f"{name}.csv")}} for name in ("good", "few", "odd")}
    with pytest.raises(SystemExit):
        main(write_sweep(prepared, tested, tmp_path, methods))
    failures = (tmp_path / "sweep/failures.txt").read_text().splitlines()
    assert len(failures) == 2
    assert f"few, tested on people: {tmp_path}/few.csv: 1 of {len(tested)} test videos have no score" in failures[0]
    assert "1 of its 1 videos are not in the data set (line 2: 'nobody.mp4'" in failures[1]
    rows = json.loads((tmp_path / "sweep/results.json").read_text())
    assert {row["method"] for row in rows} == {"good"}


def test_what_imported_scores_leave_out_is_in_their_coverage(
    prepared: Path, tested: list[Video], tmp_path: Path, few_resamples: None, forked_commands: None
) -> None:
    write_scores(tmp_path / "few.csv", tested[1:])
    data = ["--data", str(ROOT / "configs/data/studio.yaml"), "--data.root", "null", "--data.prepared", str(prepared)]
    command = ["import-scores", "--scores", str(tmp_path / "few.csv"), *data, "--missing", "leave_out"]
    main([*command, "--run", str(tmp_path / "few")])
    methods = {"few": {"scores": {"people": str(tmp_path / "few")}}}
    command = write_sweep(prepared, tested, tmp_path, methods)
    with pytest.raises(SystemExit):
        main(command)
    share = 1 - 1 / len(tested)
    failures = (tmp_path / "sweep/failures.txt").read_text()
    assert f"{share:.1%} of its videos have a score, less than min_coverage 99.0%" in failures
    main([*command, "--min_coverage", "0.5"])
    [row] = [row for row in json.loads((tmp_path / "sweep/results.json").read_text()) if row["forgery"] == "all"]
    assert row["coverage"] == share


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ({}, "methods, m: nothing: must be config alone, or detector, or scores"),
        ({"detector": "a:b", "config": True}, "methods, m: config, detector: must be config alone"),
        ({"detector": "a:b", "scores": True}, "methods, m: detector, scores: must be"),
        ({"detector": "a:b", "generator_from": "other"}, "methods, m: detector, generator_from: must be"),
        ({"scores": True, "preparation": "_m15"}, "methods, m: scores, preparation: must be"),
        ({"scores": {"peple": True}}, "methods, m: scores: 'peple' is none of the test sets, did you mean 'people'"),
    ],
)
def test_a_row_is_of_one_kind(method: dict[str, Any], reason: str, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("video,score\n")
    config = [ROOT / "configs/classifier.yaml"]
    given = dict(method)
    if "config" in given:
        given["config"] = config
    if "scores" in given:
        given["scores"] = dict.fromkeys(["people"] if given["scores"] is True else given["scores"], tmp_path / "s.csv")
    spec = DatasetSpec(data=ROOT / "configs/data/studio.yaml")
    methods = {"m": MethodSpec(**given), "other": MethodSpec(config=config)}
    with pytest.raises(UserError, match=reason):
        Sweep(methods=methods, train={"t": spec}, test={"people": spec}, seeds=[0], overrides=Overrides())


def test_scores_that_are_nowhere_are_refused_before_anything_is_trained() -> None:
    with pytest.raises(UserError, match=r"methods: scores: .*none\.csv: neither a file nor a folder"):
        MethodSpec(scores={"people": Path("none.csv")})
