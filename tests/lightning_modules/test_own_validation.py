"""A training that did not learn its own task says so, and gives no metric of a test."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from datamodules.runtime.errors import UserError
from lightning_modules.face_prior import FacePrior
from lightning_modules.hub_folder import save
from lightning_modules.mae.method import Recover
from lightning_modules.mae.network import MAE
from lightning_modules.metrics.bootstrap import Interval
from lightning_modules.metrics.significance import Claim
from lightning_modules.own_validation import OwnValidation
from lightning_modules.trained_method import load
from suite.__main__ import main
from suite.benchmark.comparisons import Family, compare
from suite.benchmark.conditions import Condition
from suite.benchmark.page import page
from suite.benchmark.plan import Sweep, SweepJob
from suite.benchmark.results import ResultRow, measure_rows
from suite.benchmark.summary import known_values
from suite.benchmark.tables import claims_csv, matrix, table
from suite.benchmark.untrained import find_untrained, read_curves, trainings, withhold
from suite.benchmark.wandb_report import blocks, interface
from suite.export.command import render_card
from suite.run_metrics import read_run
from tests.conftest import small_fit
from tests.fixtures.runs import write_run
from tests.fixtures.small_methods import METHODS
from tests.fixtures.sweeps import SECONDS, sweep

pytestmark = pytest.mark.usefixtures("few_resamples")

__all__ = ["sweep"]


def test_a_value_below_the_limit_is_never_rounded_up_to_it() -> None:
    assert OwnValidation(auroc=0.8999).describe(0.9) == "not trained (own validation 0.89, needs 0.90)"
    single = float(torch.tensor(0.9))  # 0.89999998: 90 of 100 pairs
    assert [OwnValidation(auroc=one).describe(0.9) for one in (0.9, single)] == 2 * ["own validation 0.90"]
    assert OwnValidation(auroc=0.71).describe(0.0) == "own validation 0.71"
    assert OwnValidation.from_text(None).describe(0.9) == "own validation unknown"
    for text in ("0.71", "unknown", "none"):
        assert OwnValidation.from_text(text).to_text() == text


def test_what_has_nothing_to_learn_or_is_a_first_stage_needs_no_validation() -> None:
    generator = MAE(size=32, patch=8, width=16, depth=1, heads=1, decoder_width=16, decoder_depth=1, decoder_heads=1)
    for method in (FacePrior(), Recover(generator)):
        method.validated = 0.3
        assert method.own_validation.to_text() == "none"
        assert not method.own_validation.is_below(0.9)
        assert method.own_validation.describe(0.9) == ""


def test_a_run_its_table_and_an_exported_folder_know_what_the_very_weights_reached(
    prepared: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    main([*small_fit(prepared, run), "--trainer.max_epochs", "3"])
    with (run / "metrics.csv").open(newline="") as f:
        values = [float(row["val/video_auroc"]) for row in csv.DictReader(f) if row["val/video_auroc"]]
    for name, wanted in (("best", max(values)), ("last", values[-1])):
        trained = load(run / f"checkpoints/{name}.ckpt")
        assert trained.method.validated == pytest.approx(wanted, abs=1e-5)
    best = load(run / "checkpoints/best.ckpt")
    save(best, tmp_path / "hub")
    assert load(tmp_path / "hub").method.validated == best.method.validated
    main(["test", *small_fit(prepared, run)[1:], "--ckpt_path", str(run / "checkpoints/best.ckpt")])
    about = pq.read_schema(run / "predictions.parquet").metadata
    assert about[b"own_validation"].decode() == str(best.method.validated)
    who = dict(
        zip(*(pq.read_table(run / "predictions.parquet")[n].to_pylist() for n in ("stem", "person")), strict=True)
    )
    assert who == {stem: stem.split("_")[0] for stem in who}  # of a fake the target

    best.method.validated = 0.71
    test = read_run(run)
    assert "Not trained (own validation 0.71, needs 0.90)" in render_card(best, test, "x", "hub")
    assert "| video AUROC |" not in render_card(best, test, "x", "hub")
    assert "| video AUROC |" in render_card(best, test, "x", "hub", min_validation_auroc=0.0)


def test_weights_that_were_trained_since_validation_have_no_thresholds_until_they_are_validated(
    prepared: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    fit = small_fit(prepared, run, "--data.batch_size", "4", "--trainer.limit_train_batches", "2")
    main([*fit, "--trainer.check_val_every_n_epoch", "2", "--trainer.max_epochs", "3"])
    best = load(run / "checkpoints/best.ckpt")
    assert best.method.validated is not None
    last = run / "checkpoints/last.ckpt"
    content = torch.load(last, weights_only=False)
    assert (content["global_step"], content["own_validation"]) == (6, None)
    assert content["state_dict"]["video_threshold"].isnan()
    with pytest.raises(UserError, match="validation has fixed no threshold"):
        load(last)
    main(["validate", *small_fit(prepared, run, "--data.batch_size", "4")[1:], "--ckpt_path", str(last)])
    method = load(last).method
    assert method.validated is not None
    assert method.familiarity is not None
    assert method.fixed_values().keys() == best.method.fixed_values().keys()


def test_a_report_shows_no_metric_of_a_run_that_did_not_learn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"idle": "0.71", "able": "0.95", "old": None, "face": "none"}
    runs = [write_run(tmp_path / name, seed=i, own_validation=own[name]) for i, name in enumerate(own)]
    main(["report", *map(str, runs)])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("idle: not trained (own validation 0.71, needs 0.90): no metric")
    assert said[1].endswith("; own validation 0.95.")
    assert said[2].endswith("; own validation unknown.")
    assert "validation" not in said[3]
    text = (tmp_path / "comparison.html").read_text()
    metrics = text.split('<table class="metrics">')[1].split("</table>")[0]
    [line] = re.findall(r"<tr><th>video AUROC</th>(.*?)</tr>", metrics)
    assert [cell.count("[") for cell in line.split("<td>")[1:]] == [0, 1, 1, 1]
    assert "<td>not trained (own validation 0.71, needs 0.90)</td>" in text
    assert text.count('aria-label="Scores of real and fake videos of ') == 3
    alone = tmp_path / "idle/report.html"
    main(["report", str(runs[0])])
    assert "ROC curves" not in alone.read_text()
    assert "<h2>Forgeries" not in alone.read_text()
    assert "Training loss" in alone.read_text()  # what there is to see of why
    main(["report", str(runs[0]), "--min_validation_auroc", "0"])
    assert "ROC curves" in alone.read_text()
    with pytest.raises(SystemExit):
        main(["report", str(runs[0]), "--min_validation_auroc", "90"])
    assert "min_validation_auroc 90: must be a video AUROC, from 0 (no limit) to 1" in capsys.readouterr().err


def rows_with(sweep: Sweep, out: Path, own: dict[tuple[str, int], str | None]) -> list[ResultRow]:
    found = []
    for cell in sweep.jobs():
        place = cell.test_folder(out, Condition(test="DFDC"))
        write_run(place, seed=10 * cell.seed + (cell.method == "better"), own_validation=own[cell.method, cell.seed])
        found += measure_rows(cell, Condition(test="DFDC"), place, out / "prepared", SECONDS)
    return found


def test_a_sweep_gives_no_metric_and_no_comparison_of_a_training_that_did_not_learn(
    sweep: Sweep, tmp_path: Path
) -> None:
    own = {("plain", 0): "0.71", ("plain", 1): "0.84", ("better", 0): "0.95", ("better", 1): None}
    before = rows_with(sweep, tmp_path, own)
    assert len(compare(sweep, before, tmp_path, tmp_path)) == 0  # nobody to compare with
    assert find_untrained(before, sweep.min_validation_auroc) == {
        SweepJob(method="plain", train="t", seed=seed) for seed in (0, 1)
    }
    assert not find_untrained(before, 0.0)
    rows = withhold(before, sweep.min_validation_auroc)
    assert {row.method: row.values["video_auroc"] is None for row in rows} == {"plain": True, "better": False}
    reason = "not trained (own validation 0.71 to 0.84, needs 0.90)"
    assert table(matrix(rows, [], sweep.min_validation_auroc))[1] == ["plain", "t", reason]
    found = trainings(rows, sweep.min_validation_auroc)
    assert found is not None
    assert [[entry.text for entry in line] for line in found.rows] == [
        ["plain", "t", "0.71 (seed 0), 0.84 (seed 1)", "not trained: 2 of 2"],
        ["better", "t", "0.95 (seed 0), unknown (seed 1)", "own validation unknown"],
    ]
    without_limit = trainings(before, 0.0)
    assert without_limit is not None
    assert without_limit.rows == found.rows  # it did not learn because of that
    assert "Below 0.90 a training has not learned its own task, and its tests are shown all" in without_limit.note
    text = page(sweep, rows, [], [], [], tmp_path)
    assert "2 trainings did not learn their own task" in text
    assert text.count(reason) == 1
    for name in ("forgeries", "localization", "operating"):
        part = text.split(f'<section id="{name}">')[1].split("</section>")[0]
        numbers = {
            method: re.findall(r"0\.\d{3}", line)
            for line in part.split("<tr>")
            for method in ("plain", "better")
            if line.strip().startswith(f"<td>{method}</td>")
        }
        assert set(numbers.get("plain", [])) <= {"0.000"}  # of coverage, 1.000 ± 0.000
        assert numbers["better"]


def test_a_seed_that_learned_is_shown_without_those_that_did_not(sweep: Sweep, tmp_path: Path) -> None:
    own: dict[tuple[str, int], str | None] = {("plain", 0): "0.71", ("plain", 1): "0.92"}
    rows = rows_with(sweep, tmp_path, own | {("better", 0): "0.95", ("better", 1): "0.95"})
    whole = [row for row in rows if row.forgery == "all"]
    [mine] = known_values((row for row in whole if (row.method, row.seed) == ("plain", 1)), "video_auroc")
    theirs = known_values((row for row in whole if row.method == "better"), "video_auroc")
    cell = table(matrix(withhold(rows, 0.9), [], 0.9))[1][2]
    assert cell == f"{mine:.3f} (1 of 2 seeds; 1 not trained)"
    families = compare(sweep, rows, tmp_path, tmp_path)
    [claim] = families[-1].claims
    assert abs(claim.gain.value) == pytest.approx(abs(mine - sum(theirs) / 2))
    lines = list(csv.DictReader(io.StringIO(claims_csv(families))))
    assert float(lines[-1]["smallest_resolvable_gain"]) == pytest.approx(claim.resolvable, rel=1e-5)
    assert f"<td>{claim.resolvable:.3f}</td>" in page(sweep, rows, [], families, [], tmp_path)
    with pytest.raises(UserError, match="min_validation_auroc 2: must be a video AUROC"):
        Sweep(**{**vars(sweep), "min_validation_auroc": 2.0})


def test_a_page_draws_how_own_validation_rose_as_the_mean_of_the_seeds(sweep: Sweep, tmp_path: Path) -> None:
    rows = rows_with(sweep, tmp_path, dict.fromkeys((name, seed) for name in sweep.methods for seed in sweep.seeds))
    assert "by epoch" not in page(sweep, rows, [], [], [], tmp_path)
    for seed, reached in ((0, 0.9), (1, 0.7)):
        history = SweepJob(method="better", train="t", seed=seed).run(tmp_path) / "metrics.csv"
        history.write_text(f"epoch,step,train/loss,val/video_auroc\n0,9,0.7,\n1,19,,0.6\n3,39,,{reached}\n")
    assert read_curves(rows, tmp_path) == {"t": {"better": [(2, 0.6), (4, pytest.approx(0.8))]}}
    assert 'aria-label="own validation, video AUROC by epoch: t"' in page(sweep, rows, [], [], [], tmp_path)


def test_a_report_on_wandb_leaves_it_out_of_the_panels_of_tests(sweep: Sweep, tmp_path: Path) -> None:
    own: dict[tuple[str, int], str | None] = {("plain", 0): "0.71", ("plain", 1): "0.92"}
    rows = rows_with(sweep, tmp_path, own | {("better", 0): "0.95", ("better", 1): "0.95"})
    (tmp_path / "sweep.yaml").write_text(sweep.text())
    (tmp_path / "results.json").write_text(json.dumps([row.to_json() for row in rows]))
    (tmp_path / "table.md").write_text("table")
    gain = Interval(value=0.1, low=0.0, high=0.2)
    claim = Claim(ours="a", theirs="b", gain=gain, bootstrap=0.1, delong=0.1, adjusted=0.1, resolvable=0.0817)
    family = Family(about="all", tests=["x"], claims=[claim])
    (tmp_path / "claims.json").write_text(json.dumps([asdict(family)]))
    assert Family.from_json(asdict(family)) == family
    found = blocks(interface(), tmp_path, "forensics", "")
    grids = [[one.name for one in block.runsets] for block in found if hasattr(block, "runsets")]
    assert grids == [["better"], ["better"], ["better"], ["plain", "better"]]  # the last is of training
    texts = [block.text for block in found if hasattr(block, "text")]
    assert "Not in the panels of tests, since not trained: plain." in texts
    assert "| 0.082 |" in texts[-1]


def test_a_checkpoint_of_another_method_or_of_other_settings_is_refused_in_a_line() -> None:
    state = METHODS["EfficientNet"]().state_dict()
    where = r"is of another method, .* than this LAE \(see \w[\w., ]+\); give the"
    with pytest.raises(UserError, match=where) as refused:
        METHODS["LAE"]().load_state_dict(state)
    assert len(str(refused.value)) < 300
    with pytest.raises(UserError, match=r"other settings, than this Classifier \(see net\.\w+"):
        METHODS["EfficientNet"]().load_state_dict({**state, "net.conv_stem.weight": torch.zeros(3, 3, 3, 3)})
