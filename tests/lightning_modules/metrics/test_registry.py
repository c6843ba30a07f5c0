"""One registry of metrics: every id has a column wherever metrics are, and a title is only drawn."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from lightning_modules.metrics import registry
from lightning_modules.metrics.bootstrap import Interval
from lightning_modules.metrics.collections import pixel_metrics, score_metrics
from lightning_modules.metrics.registry import FITS, METRICS, STORED
from suite import run_metrics
from suite.__main__ import main
from suite.benchmark import results, summary
from suite.report import command as report
from suite.run_metrics import read_run, verdict
from tests.fixtures.runs import write_run

pytestmark = pytest.mark.usefixtures("few_resamples")

IDS = [metric.id for metric in METRICS]


def test_every_metric_has_a_column_in_logs_tables_and_results(tmp_path: Path) -> None:
    logged = [*score_metrics(dict), *pixel_metrics(dict), *pixel_metrics(dict, "boundary")]
    assert sorted(logged) == sorted(IDS)
    of_validation = {*score_metrics(None), *pixel_metrics(None), *pixel_metrics(None, "boundary")}
    assert of_validation == {m.id for m in METRICS if not m.required_fits} | {fit.id for fit in STORED}
    run = read_run(write_run(tmp_path / "a"))
    assert list(verdict(run)) == IDS
    assert {f"{id}{end}" for id in IDS for end in ("", "_low", "_high")} <= results.kinds().keys()
    assert {results.kinds()[id] for id in [*IDS, *(fit.id for fit in FITS)]} == {pa.float64()}
    assert {*summary.LOCAL, *summary.OPERATING} <= {*IDS}
    assert len({metric.title for metric in METRICS}) == len(IDS)


def test_a_title_is_drawn_and_nothing_is_found_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results.spread(verdict(read_run(write_run(tmp_path / "a"))))
    assert before["video_ap"] is not None
    renamed = [replace(metric, title=f"<{metric.id}>") for metric in METRICS]
    for module in (registry, run_metrics, report, results):
        monkeypatch.setattr(module, "METRICS", renamed)
    monkeypatch.setattr(registry, "BY_ID", {metric.id: metric for metric in renamed})
    assert results.spread(verdict(read_run(tmp_path / "a"))) == before
    main(["report", str(tmp_path / "a")])
    metrics = (tmp_path / "a/report.html").read_text().split('<table class="metrics">')[1].split("</table>")[0]
    shown = re.findall(r"<tr><th>&lt;(\w+)&gt;</th><td>([^<]*)</td>", metrics)
    assert {id: text.split(" [")[0] for id, text in shown} == {
        id: f"{before[id]:.3f}" for id in IDS if before[id] is not None
    }


def test_an_id_that_is_in_no_registry_raises() -> None:
    with pytest.raises(KeyError, match="video_auc: is no metric; there are video_auroc"):
        registry.get("video_auc")
    with pytest.raises(KeyError, match="video AUROC: is no metric"):
        results.spread({"video AUROC": Interval(value=0.5)})


def test_a_metric_says_at_which_threshold_it_is_and_takes_that_one() -> None:
    score, label = torch.tensor([0.1, 0.3, 0.35, 0.4, 0.6, 0.9]), torch.tensor([0, 0, 1, 0, 1, 1])
    found = {
        at: registry.evaluate_scores(
            registry.get(f"video_balanced_accuracy_at_{at}"), {"video_threshold": 0.5}, score, label
        )
        for at in ("validation", "oracle")
    }
    assert float(found["validation"]) == pytest.approx(5 / 6)
    assert float(found["oracle"]) == pytest.approx(5 / 6)
    low = registry.evaluate_scores(
        registry.get("video_accuracy_at_validation"), {"video_threshold": 0.2, "frame_threshold": 0.5}, score, label
    )
    assert float(low) == pytest.approx(4 / 6)
    for metric in METRICS:
        words = {"validation": "at validation's threshold", "half": "at 0.5", "oracle": "(oracle)"}
        assert (metric.threshold is None) == (" at 0.5" not in metric.title and "threshold" not in metric.title)
        if metric.threshold is not None:
            assert metric.id.endswith(f"_at_{metric.threshold}")
            assert metric.title.split(", ")[0].endswith(words[metric.threshold])


def test_what_validation_has_not_fixed_is_no_number(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a"))
    bare = replace(run, about={name: value for name, value in run.about.items() if name not in {f.id for f in FITS}})
    found = verdict(bare)
    boundary = {metric.id for metric in registry.list_unit_metrics(*registry.MAPS["boundary"])}
    undefined = {id for id in IDS if np.isnan(found[id].value)}
    assert undefined - boundary == {metric.id for metric in METRICS if metric.required_fits} - boundary
