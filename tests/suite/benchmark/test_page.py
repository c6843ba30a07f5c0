"""What a sweep concludes: who is better, groups, robustness, and the page that says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from datamodules.runtime.errors import UserError
from lightning_modules.own_validation import OwnValidation
from suite.benchmark import plots, summary
from suite.benchmark.comparisons import ALL_TESTS, SEEN, UNSEEN, clusters, compare
from suite.benchmark.conditions import Condition
from suite.benchmark.page import page
from suite.benchmark.plan import DatasetSpec, Sweep, SweepJob
from suite.benchmark.results import ALL, ResultRow, kinds
from suite.benchmark.runner import Failure
from suite.benchmark.subgroups import GroupRow, find_gaps, measure_groups
from suite.run_metrics import read_run, videos
from tests.fixtures.browser import check_page
from tests.fixtures.needs import chromium
from tests.fixtures.sweeps import make_row, rows, sweep

__all__ = ["rows", "sweep"]  # fixtures, by their arguments
pytestmark = pytest.mark.usefixtures("few_resamples")


def test_a_row_is_itself_after_its_json_which_has_all_columns(rows: list[ResultRow]) -> None:
    for row in rows:
        content = row.to_json()
        assert content.keys() == kinds().keys()
        assert ResultRow.from_json(content) == row
        older = {name: content[name] for name in content if name not in ("own_validation", "needs_validation")}
        assert ResultRow.from_json(older).own_validation == OwnValidation(auroc=None)


def said(tmp_path: Path, method: str, seed: int) -> Any:
    job = SweepJob(method=method, train="t", seed=seed)
    return videos(read_run(job.test_folder(tmp_path, Condition(test="DFDC"))))


def test_claims_are_of_the_mean_over_seeds_and_of_seen_and_unseen_forgeries_apart(
    sweep: Sweep, rows: list[ResultRow], tmp_path: Path
) -> None:
    found = compare(sweep, rows, tmp_path, tmp_path)
    assert [family.about for family in found] == [UNSEEN, SEEN, ALL_TESTS]
    for family, kept in zip(found, (("Jitter",), ("Swap",), ("Swap", "Jitter")), strict=True):
        assert family.tests == ["DFDC, trained on t"]
        [claim] = family.claims
        value = {}
        for method in ("plain", "better"):
            each = [said(tmp_path, method, seed) for seed in (0, 1)]
            chosen = np.isin(each[0].method, [f"d/{one}" for one in ("real", *kept)])
            value[method] = np.mean([roc_auc_score(v.label[chosen], v.score[chosen]) for v in each])
        assert value[claim.ours] >= value[claim.theirs]
        assert claim.gain.value == pytest.approx(value[claim.ours] - value[claim.theirs])
    few = [row for row in rows if row.method == "plain"]
    assert compare(sweep, few, tmp_path, tmp_path) == []  # nobody to compare with


def test_the_videos_of_a_person_are_resampled_together_whatever_their_clips_are_called(
    sweep: Sweep, tmp_path: Path
) -> None:
    assert set(clusters(tmp_path / "prepared").values()) == {f"d/p{i}" for i in range(10)}


def test_a_mean_is_of_the_trainings_that_all_seeds_have_and_says_how_many() -> None:
    def row(method: str, train: str, seed: int, value: float | None) -> ResultRow:
        made = make_row(method, dict.fromkeys(kinds(), value), seed)
        return replace(made, job=replace(made.job, train=train))

    rows = [row("whole", train, seed, 0.7) for train in "AB" for seed in (0, 1)]
    rows += [row("part", "A", 0, 0.9), row("part", "A", 1, 0.9), row("part", "B", 0, 0.6), row("part", "B", 1, None)]
    table = summary.tabulate_operating_points(rows)
    assert [[entry.text for entry in line][:3] for line in table.rows] == [
        ["whole", "s", "0.700 ± 0.000"],
        ["part (1 of 2 trainings)", "s", "0.900 ± 0.000"],
    ]


def test_nothing_is_claimed_of_what_scores_all_videos_alike(
    sweep: Sweep, rows: list[ResultRow], tmp_path: Path
) -> None:
    half = dict.fromkeys(("video_auroc", "video_auroc_low", "video_auroc_high"), 0.5)
    still = [replace(row, values={**row.values, **half}) if row.method == "plain" else row for row in rows]
    assert compare(sweep, still, tmp_path, tmp_path) == []


def test_groups_are_those_of_the_people_whom_the_videos_were_made_from(
    sweep: Sweep, rows: list[ResultRow], tmp_path: Path
) -> None:
    table = tmp_path / "attributes.csv"
    table.write_text("identity,hair\n" + "".join(f"p{i},{'dark' if i < 5 else 'fair'}\n" for i in range(10)))
    job = SweepJob(method="plain", train="t", seed=0)
    run = read_run(job.test_folder(tmp_path, Condition(test="DFDC")))
    found = list(measure_groups(job, "DFDC", run, tmp_path / "prepared", table))
    v = said(tmp_path, "plain", 0)
    number = np.array(
        sorted(range(50), key=lambda i: f"d/{'real' if i < 30 else 'Swap' if i < 40 else 'Jitter'}/c23/{i:03d}")
    )
    for row, dark in zip(found, (True, False), strict=True):
        mine = (number % 10 < 5) == dark
        assert (row.group, row.reals, row.fakes) == ("dark" if dark else "fair", 15, 10)
        assert row.values["video_auroc"] == pytest.approx(roc_auc_score(v.label[mine], v.score[mine]))
        assert row.values["video_fpr_at_validation"] == pytest.approx((v.score[mine & (v.label == 0)] >= 0.55).mean())
    [gap] = find_gaps(found)
    of_dark, of_fair = [value for row in found if (value := row.values["video_auroc"]) is not None]
    assert gap.gaps["video_auroc"] == pytest.approx(abs(of_dark - of_fair))
    assert (gap.worst, gap.worst_auroc) == min(("dark", of_dark), ("fair", of_fair), key=lambda one: one[1])
    assert found[0].to_json() == {
        **{"method": "plain", "train": "t", "seed": 0, "test": "DFDC", "attribute": "hair", "group": "dark"},
        **{"reals": 15, "fakes": 10, **found[0].values},
    }
    table.write_text("identity,hair\nnobody,dark\n")
    with pytest.raises(UserError, match="knows none of the 50 tested videos by its column identity"):
        list(measure_groups(job, "DFDC", run, tmp_path / "prepared", table))
    table.write_text("name,hair\nx,dark\n")
    with pytest.raises(UserError, match="must have a column video or identity"):
        DatasetSpec(data=tmp_path / "data.yaml", attributes=table)


def made_up(value: Callable[[str | None, int], float], method: str = "m", **more: float | None) -> list[ResultRow]:
    """Rows of one method under two degradations in two severities."""
    conditions: list[tuple[str | None, int]] = [(None, 0), *((k, s) for k in ("blur", "h264") for s in (1, 2))]
    values = {"pixel_auroc": None, "coverage": 0.98}
    return [
        make_row(
            method,
            {**values, "video_auroc": value(kind, severity) + seed / 100, **more},
            seed,
            degradation=kind,
            severity=severity,
        )
        for seed in (0, 2)
        for kind, severity in conditions
    ]


def test_the_mean_corrupted_figure_weighs_every_degradation_alike() -> None:
    found = summary.robustness(
        made_up(lambda kind, severity: 0.9 - {"blur": 0.1, "h264": 0.05, None: 0}[kind] * severity)
    )
    assert found is not None
    assert found.head == [
        "method",
        "tested on",
        "clean",
        "blur",
        "h264",
        "mean corrupted",
        "mean drop",
        "least coverage",
    ]
    # clean 0.90 and 0.92; blur 0.8 and 0.7, h264 0.85 and 0.8: 0.75 and 0.825
    assert [entry.text for entry in found.rows[0]] == [
        *("m", "s", "0.910 ± 0.014", "0.760 ± 0.014", "0.835 ± 0.014", "0.797 ± 0.014", "0.113 ± 0.000", "0.98")
    ]
    lines = summary.curves(made_up(lambda kind, severity: 0.9 - 0.1 * severity), "video_auroc")
    assert [severity for severity, _ in lines["blur"]["m"]] == [0, 1, 2]
    assert [value for _, value in lines["blur"]["m"]] == pytest.approx([0.91, 0.81, 0.71])
    easy = [row for row in made_up(lambda kind, severity: 0.9 - 0.1 * severity) if row.severity != 2]
    both = [*made_up(lambda *_: 0.5), *(replace(row, job=replace(row.job, method="easy")) for row in easy)]
    found = summary.robustness(both)
    assert found is not None
    assert [entry.text for entry in found.rows[1]][2:7] == ["0.910 ± 0.014", "-", "-", "-", "-"]  # not tested in all
    half = [row for row in made_up(lambda *_: 0.9) if row.degradation != "h264"]
    assert summary.robustness(half) is not None
    assert summary.robustness([row for row in half if row.degradation is None]) is None


def test_a_table_of_localization_tells_class_activations_from_other_maps() -> None:
    local: dict[str, float | None] = {**dict.fromkeys(summary.LOCAL), "pixel_auroc": 0.6}
    plain = [replace(row, map_by="activation") for row in made_up(lambda *_: 0.9, "plain", **local)]
    rows = [*plain, *made_up(lambda *_: 0.9, "learnt", **local)]
    found = summary.localization(rows)
    assert found is not None
    assert [line[0].text for line in found.rows] == ["plain (class activation)", "learnt"]


def test_seen_and_unseen_are_the_same_forgeries_for_all_methods() -> None:
    def row(method: str, forgery: str, seen: bool, value: float) -> ResultRow:
        return make_row(method, {"video_auroc": value}, forgery=forgery, seen=seen)

    found = summary.forgeries(
        [
            row("a", "Swap", True, 0.9),
            row("a", "Edit", False, 0.6),
            row("reals", "Swap", False, 0.7),
            row("reals", "Edit", False, 0.5),
        ]
    )
    assert found is not None
    assert found.head == ["method", "seen by some", "seen by none", "Edit"]
    texts = [[entry.text for entry in line] for line in found.rows]
    assert texts == [["a", "0.900", "0.600", "0.600"], ["reals", "0.700", "0.500", "0.500"]]
    assert summary.forgeries([row("a", "Swap", True, 0.9)]) is None
    part = summary.forgeries([row("a", "Edit", False, 0.6), row("a", "Drop", False, 0.8), row("b", "Edit", False, 0.5)])
    assert part is not None
    assert [line[2].text for line in part.rows] == ["0.700", "0.500 (1 of 2)"]  # b was not tested on all of it


def test_the_page_holds_what_was_found_and_nothing_from_elsewhere(
    sweep: Sweep, rows: list[ResultRow], tmp_path: Path
) -> None:
    panel = (
        SweepJob(method="better", train="t", seed=0).test_folder(tmp_path, Condition(test="DFDC")) / "panels/test.png"
    )
    panel.parent.mkdir()
    panel.write_bytes(b"an image")
    failures = [Failure(job=None, test=Condition(test="DFDC", kind="blur", severity=5), reason="<no> disk")]
    claims = compare(sweep, rows, tmp_path, tmp_path)
    text = page(sweep, rows, failures, claims, [], tmp_path)
    names = re.findall(r'<section id="([\w-]+)"', text)
    assert names == [
        "matrix",
        "training",
        "forgeries",
        "claims-0",
        "claims-1",
        "claims-2",
        "localization",
        "faces",
        "operating",
        "shared",
        "cost",
        "published",
    ]
    assert "DFDC, blur 5: &lt;no&gt; disk" in text
    whole = summary.known_values((row for row in summary.select_totals(rows) if row.method == "plain"), "video_auroc")
    assert f"{np.mean(whole):.3f} ±\u00a0{np.std(whole, ddof=1):.3f}" in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)


@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")
def test_a_browser_shows_all_of_a_page_with_degradations_and_groups_at_any_width(
    sweep: Sweep, rows: list[ResultRow], tmp_path: Path
) -> None:
    kinds = ("block_wise", "color_saturation", "gaussian_noise", "jpeg")
    degraded = [replace(row, degradation=kind, severity=s) for row in rows for kind in kinds for s in range(1, 6)]
    kinds_of_forgery = ("NeuralTexture", "TemporalSmooth", "TemporalJitter", "Reenactment", "OutsideEdit", "LocalEdit")
    unseen = [replace(row, forgery=kind, seen=False) for row in rows if row.forgery == ALL for kind in kinds_of_forgery]
    values: dict[str, float | None] = {"video_auroc": 0.8}
    values |= {"video_fpr_at_validation": 0.1, "video_tpr_at_validation": 0.7}
    job, about = SweepJob(method="plain", train="t", seed=0), {"test": "DFDC", "attribute": "age_band"}
    groups = [
        GroupRow(job=job, group=group, reals=9, fakes=9, values=values, **about) for group in ("under 25", "25 to 34")
    ]
    reason = "/a/folder/of/a/name" * 20 + ": no disk"
    failures = [Failure(job=None, test=Condition(test="DFDC", kind="blur", severity=5), reason=reason)]
    for job in sweep.jobs():
        history = job.run(tmp_path) / "metrics.csv"
        history.parent.mkdir(parents=True, exist_ok=True)
        history.write_text("epoch,val/video_auroc\n0,0.8\n1,0.95\n")
    claims = compare(sweep, rows, tmp_path, tmp_path)
    file = tmp_path / "report.html"
    file.write_text(page(sweep, [*rows, *unseen, *degraded], failures, claims, groups, tmp_path))
    for name in ("robustness", "groups", "training"):
        assert f'<section id="{name}"' in file.read_text()
    check_page(file)


def test_a_method_has_the_same_line_in_every_plot_of_a_page() -> None:
    methods = ["a", "b", "c"]
    both = plots.robustness({"blur": {"a": [(0, 0.9), (1, 0.8)], "b": [(0, 0.8), (1, 0.7)]}}, methods, "video AUROC")
    alone = plots.robustness({"blur": {"b": [(0, 0.8), (1, 0.7)]}}, methods, "pixel AUROC")
    assert 'stroke="var(--s1)" stroke-width="2" stroke-dasharray="6 4"/></svg> b<' in both
    assert 'stroke="var(--s1)" stroke-width="2" stroke-dasharray="6 4"/></svg> b<' in alone
    assert "stroke: var(--s1)" in alone
    assert "</svg> a<" not in alone
    assert all(text in alone for text in (">blur<", ">severity (0: not degraded)<", ">pixel AUROC<"))
