"""The page: its numbers, and that a browser shows it without complaint."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from datamodules.runtime.errors import UserError
from lightning_modules.metrics import registry
from suite.__main__ import main
from suite.html import plots
from suite.report.test_sets import group_by_test_set
from suite.run_metrics import measure_forgeries, pool_manipulations, read_run, verdict, videos
from tests.fixtures.browser import check_page
from tests.fixtures.needs import chromium
from tests.fixtures.runs import change, write_run

pytestmark = pytest.mark.usefixtures("few_resamples")


def test_figures_of_the_table_agree_with_scikit_learn(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a"))
    v = videos(run)
    keys = run.table["video"].astype(str)
    expected = {key: run.table["score"][keys == key].astype(float).mean() for key in set(keys)}
    assert sorted(expected.values()) == pytest.approx(sorted(v.score))
    said = verdict(run)
    assert said["video_auroc"].value == pytest.approx(roc_auc_score(v.label, v.score))
    assert said["frame_auroc"].value == pytest.approx(roc_auc_score(run.table["label"], run.table["score"]))
    assert said["video_auroc"].low < said["video_auroc"].value < said["video_auroc"].high


def test_runs_on_other_videos_are_in_a_table_and_a_drawing_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [write_run(tmp_path / name, masks=False, seed=i) for i, name in enumerate("abcd")]
    change(paths[1], lambda table: table.slice(8))  # without two real videos
    compression = pa.array(["c40"] * 200)
    change(paths[2], lambda table: table.set_column(3, "compression", compression))
    main(["report", *map(str, paths)])
    page = (tmp_path / "comparison.html").read_text()
    found = re.findall(
        r"<h3>([^<]+)</h3>\s*<div class=\"scroll\"><table class=\"metrics\">\s*<thead>(.*?)</thead>", page
    )
    named = {name: re.findall(r"<th>(\w)</th>", head) for name, head in found}
    assert named == {
        "d c23: 30 real and 20 fake videos, 2 of them in no other set of this data set here (tested by a)": ["a", "d"],
        "d c23: 28 real and 20 fake videos, 0 of them in no other set of this data set here (tested by b)": ["b"],
        "d c40: 30 real and 20 fake videos": ["c"],
    }
    assert page.count('aria-label="ROC curves over videos of d c') == 3
    assert "3 test sets, a table for each: d c23" in capsys.readouterr().out


def test_a_degraded_test_set_is_another_one(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, masks=False) for name in "ab"]
    change(paths[1], lambda table: table.replace_schema_metadata({**table.schema.metadata, b"degradation": b"blur 5"}))
    names = [one.name for one in group_by_test_set([read_run(path) for path in paths])]
    assert names == ["d c23: 30 real and 20 fake videos", "d c23, blur 5: 30 real and 20 fake videos"]


def test_runs_whose_labels_differ_are_in_tables_of_their_own(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, masks=False) for name in "ab"]
    label = pa.array([int(i >= 160) for i in range(200)], pa.int8())  # corrected since
    change(paths[1], lambda table: table.set_column(table.schema.get_field_index("label"), "label", label))
    names = [one.name.partition(",")[0] for one in group_by_test_set([read_run(path) for path in paths])]
    assert names == ["d c23: 30 real and 20 fake videos", "d c23: 40 real and 10 fake videos"]


def test_runs_of_one_name_are_told_apart_by_their_folders_and_the_current_folder_has_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_run(tmp_path / "runs" / name / "0/tests/DFDC", masks=False) for name in "ab"]
    main(["report", *map(str, paths)])
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()[:2]] == [
        "a/0/tests/DFDC",
        "b/0/tests/DFDC",
    ]
    monkeypatch.chdir(paths[0])
    main(["report", ".", str(paths[0])])  # the same
    assert capsys.readouterr().out.startswith("DFDC: on 30 real")
    assert (paths[0].parent / "comparison.html").is_file()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("train/loss\n0.7\n", "has no column 'step'"),
        ("step,train/loss\n9,0.7\n19,abc\n", "line 3: train/loss 'abc': must be a number"),
        ("step,train/loss\n19.5,0.7\n", "line 2: step '19.5': must be a number"),
    ],
)
def test_a_damaged_history_is_named_by_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    run = write_run(tmp_path / "a", masks=False)
    (run / "metrics.csv").write_text(content)
    with pytest.raises(SystemExit):
        main(["report", str(run)])
    assert capsys.readouterr().err == f"suite: {run / 'metrics.csv'}{':' if 'column' in said else ','} {said}\n"


def test_a_run_whose_name_begins_with_an_underscore_is_in_the_legend(tmp_path: Path) -> None:
    run = write_run(tmp_path / "_base", masks=False)
    (run / "metrics.csv").write_text("step,train/loss,train/samples_per_s\n9,0.7,31.5\n")  # without waiting
    main(["report", str(run)])
    page = (run / "report.html").read_text()
    assert " _base, AUROC" in page
    assert "31.5 samples/s in the last epoch." in page


@pytest.mark.parametrize("value", ["nan", "inf", "1.2"])
def test_an_own_validation_that_is_no_auroc_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match=rf"own_validation '{value}': must be from 0 to 1; test again"):
        read_run(write_run(tmp_path / "a", own_validation=value))


def test_a_map_of_boundaries_has_its_own_columns_and_none_of_regions(tmp_path: Path) -> None:
    said = verdict(read_run(write_run(tmp_path / "a", map_of="boundary")))
    region = verdict(read_run(write_run(tmp_path / "b")))
    assert said["boundary_auroc"] == region["pixel_auroc"]
    for units, of in ((registry.MAPS["region"], said), (registry.MAPS["boundary"], region)):
        assert {str(of[metric.id]) for metric in registry.list_unit_metrics(*units)} == {"-"}


def test_a_report_says_of_class_activations_that_no_mask_trained_them(tmp_path: Path) -> None:
    for map_by, is_said in (("activation", True), ("head", False)):
        main(["report", str(write_run(tmp_path / map_by, map_by=map_by))])
        assert ("Maps are class activations" in (tmp_path / map_by / "report.html").read_text()) == is_said


def test_histograms_of_other_bins_are_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a") / "predictions.parquet"
    table = pq.read_table(path)
    about = {k: v for k, v in table.schema.metadata.items() if k != b"pixel_bins"}
    pq.write_table(table.replace_schema_metadata(about), path)
    with pytest.raises(UserError, match=r"counts pixels in an older version's bins, must be 512 bins of log odds"):
        read_run(tmp_path / "a")


def test_forgeries_are_seen_or_unseen(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a"))
    rows = measure_forgeries(run)
    assert [(row.method, row.seen, row.count) for row in rows] == [("Swap", True, 10), ("Jitter", False, 10)]
    v = videos(run)
    for row in rows:
        mine = (v.label == 0) | (v.method == f"d/{row.method}")
        assert row.metrics["video_auroc"].value == pytest.approx(roc_auc_score(v.label[mine], v.score[mine]))
    seen, unseen = pool_manipulations(run, True), pool_manipulations(run, False)
    assert seen is not None
    assert unseen is not None
    assert seen.value > unseen.value


def test_a_run_that_was_not_tested_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"predictions\.parquet: no such file; run 'python -m suite test"):
        read_run(tmp_path)


def test_a_page_stands_alone(tmp_path: Path) -> None:
    main(["report", str(write_run(tmp_path / "a")), str(write_run(tmp_path / "b", masks=False, seed=1))])
    page = (tmp_path / "comparison.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)[^"'#]""", page)
    assert "<script" not in page
    assert page.count("<svg") == 1 + 2 + 2 * 2


@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")
def test_a_browser_shows_all_of_the_page_at_any_width_light_and_dark(tmp_path: Path) -> None:
    names = ("a", "b", "a_run_of_a_long_name_without_a_space_in_it")
    runs = [write_run(tmp_path / name, masks=i == 0, seed=i) for i, name in enumerate(names)]
    (runs[0] / "panels").mkdir()
    panel = np.random.default_rng(0).integers(0, 255, (80, 2000, 3), dtype=np.uint8)
    cv2.imwrite(str(runs[0] / "panels/test.png"), panel)
    main(["report", *map(str, runs)])
    check_page(tmp_path / "comparison.html")


def test_every_plot_has_a_title_and_named_axes(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a <b>"))
    drawn = [*plots.roc([run], "d"), plots.histogram(run), plots.curve(run, {"train/loss": "loss"}, "Loss", "loss")]
    for plot, texts in zip(
        drawn,
        [
            ("ROC curves over videos", "false positive rate", "true positive rate", "a &lt;b&gt;, AUROC 0."),
            ("Scores: a &lt;b&gt;", "score of the video", "share of the class"),
            ("Loss", "training step", "loss"),
        ],
        strict=True,
    ):
        assert plot is not None
        assert all(text in plot for text in texts), texts
        assert "<b>" not in plot


def test_curves_of_several_runs_differ_in_colour_and_dash_and_low_rates_have_an_axis_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [read_run(write_run(tmp_path / str(i), masks=False, seed=i)) for i in range(3)]
    [linear] = plots.roc(runs, "d")
    for i in range(3):
        assert f"stroke: var(--s{i})" in linear
    dashes = set(re.findall(r"stroke-dasharray: ([^;]+)", linear))
    assert len(dashes) >= 3  # of chance, and of two of the runs
    monkeypatch.setattr(plots, "FEW_REALS", 30)  # which the runs have
    _, logarithmic = plots.roc(runs, "d")
    assert "ROC curves at low false positive rates" in logarithmic
