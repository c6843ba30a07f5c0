"""The page: its numbers, and that a browser shows it without complaint."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from datamodules.runtime.errors import UserError
from lightning_modules.metrics import registry
from suite.__main__ import main
from suite.report.test_sets import group_by_test_set
from suite.run_metrics import measure_forgeries, pool_manipulations, read_run, verdict, videos
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
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_the_page_without_complaint(tmp_path: Path, width: int) -> None:
    run = write_run(tmp_path / "a")
    (run / "panels").mkdir()
    import cv2

    cv2.imwrite(str(run / "panels/test.png"), np.random.default_rng(0).integers(0, 255, (80, 300, 3), dtype=np.uint8))
    main(["report", str(run)])
    page = run / "report.html"
    # what a browser finds is written into the title, which the dump of the page then shows
    probe = """<script>addEventListener("load", () => { document.title = JSON.stringify({
      tables: document.querySelectorAll("table").length, rows: document.querySelectorAll(".metrics tbody tr").length,
      pictures: [...document.images].every(i => i.complete && i.naturalWidth > 0), images: document.images.length,
      drawings: [...document.querySelectorAll("svg")].every(s => s.getBoundingClientRect().width > 100),
      overflow: document.documentElement.scrollWidth > innerWidth + 1}) })</script></body>"""
    (tmp_path / "probe.html").write_text(page.read_text().replace("</body>", probe))
    command = [str(chromium()), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},900",
        "--enable-logging=stderr",
        "--v=0",
    ]
    done = subprocess.run(
        [*command, "--dump-dom", f"file://{tmp_path / 'probe.html'}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert title, done.stderr[-1000:]
    seen = json.loads(title[1].replace("&quot;", '"'))
    assert seen["tables"] == 3
    assert seen["rows"] >= 8
    assert seen["pictures"]
    assert seen["images"] == 1
    assert seen["drawings"]
    assert not seen["overflow"]
    assert "CONSOLE" not in done.stderr
