"""One self-contained page about a sweep."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from math import isnan
from pathlib import Path

from markupsafe import Markup

from lightning_modules.metrics.registry import titles
from lightning_modules.metrics.resampling import RESAMPLES
from suite.benchmark import plots as drawings
from suite.benchmark import summary
from suite.benchmark.comparisons import Family
from suite.benchmark.conditions import Condition
from suite.benchmark.plan import Sweep
from suite.benchmark.published import tabulate_published
from suite.benchmark.results import ResultRow
from suite.benchmark.runner import Failure
from suite.benchmark.subgroups import OF_GROUP, GroupRow, find_gaps
from suite.benchmark.summary import Entry, Table, format_mean
from suite.benchmark.tables import matrix, table
from suite.benchmark.untrained import find_untrained, read_curves, trainings
from suite.html.render import render
from suite.runs.shared_videos import describe_shared, read_about, read_shared


@dataclass(frozen=True, kw_only=True)
class Section:
    name: str
    title: str
    tables: list[Table] = field(default_factory=list)
    drawings: list[Markup] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)  # name, and PNG in base 64


def heat_map(rows: Sequence[ResultRow], failures: Sequence[Failure], min_validation_auroc: float) -> Section:
    places = matrix(rows, failures, min_validation_auroc)
    texts = table(places)
    head, *lines = texts
    out = []
    for method, train, *cells in lines:
        entries = [Entry(text=method), Entry(text=train)]
        for test, text in zip(head[2:], cells, strict=True):
            place = places.get((method, train, test))
            values = place.values if place is not None else []
            entries.append(Entry(text=text, value=sum(values) / len(values) if values else None))
        known = [entry.value for entry in entries[2:] if entry.value is not None]
        entries.append(format_mean([sum(known) / len(known)] if known and len(known) == len(cells) else []))
        out.append(entries)
    note = (
        "Video AUROC of all forgeries: mean ± standard deviation of the seeds, or of one seed its 95 % interval from "
        f"{RESAMPLES} resamples of people (of videos, where nobody is known). Checkpoints were chosen on the "
        "validation split of the training data."
    )
    return Section(name="matrix", title="Matrix", tables=[Table(head=[*head, "mean"], rows=out, note=note)])


def render_claims(family: Family, number: int) -> Section:
    found, title = family.claims, family.about
    lines = [
        [
            Entry(text=text)
            for text in (
                f"{one.ours} over {one.theirs}",
                str(one.gain),
                "-" if isnan(one.bootstrap) else f"{one.bootstrap:.3g}",
                "-" if isnan(one.delong) else f"{one.delong:.3g}",
                f"{one.adjusted:.3g}",
                f"{one.resolvable:.3f}",
                "holds" if one.is_resolved else "not resolved",
            )
        ]
        for one in found
    ]
    note = (
        f"Gain in video AUROC, a mean over seeds and over {'; '.join(family.tests)}. Intervals and the first p are "
        f"from {RESAMPLES} paired resamples of people, or clips, with all videos that were made from them; DeLong's p "
        "takes videos for independent, and is not there where tests share them; Holm's is of the family of all pairs "
        "here. Seeds are not resampled: the matrix has their spread. The smallest resolvable gain is the true one that "
        "a test of this claim alone, two-sided at 5 %, would find in 8 of 10 such studies, with other videos and, of "
        "methods that have several seeds, other seeds; with one seed it is too small. 'Not resolved' says nothing of a "
        "smaller one."
    )
    head = ["claim", "gain", "p, bootstrap", "p, DeLong", "p after Holm", "smallest resolvable gain", "outcome"]
    drawing = Markup(drawings.forest(found, f"Gains: {title}"))
    return Section(
        name=f"claims-{number}",
        title=f"Comparisons: {title}",
        tables=[Table(head=head, rows=lines, note=note)],
        drawings=[drawing],
    )


def list_methods(rows: Sequence[ResultRow]) -> list[str]:
    return summary.list_different(rows, lambda row: row.method)


def render_validation(rows: Sequence[ResultRow], min_validation_auroc: float, out: Path) -> Section | None:
    """What each training reached on its own validation, and how."""
    reached, by_epoch = trainings(rows, min_validation_auroc), read_curves(rows, out)
    drawn = [Markup(drawings.learning_curves(by_epoch, list_methods(rows), min_validation_auroc))] if by_epoch else []
    return Section(name="training", title="Own validation", tables=[reached], drawings=drawn) if reached else None


def render_robustness(rows: Sequence[ResultRow]) -> Section | None:
    tables, drawn = [], []
    for name, label in titles(("video_auroc", "pixel_auroc", "boundary_auroc")).items():
        one = summary.robustness(rows, name)
        by_kind = summary.curves(rows, name)
        if one is not None and by_kind:
            tables.append(Table(head=[label, *one.head[1:]], rows=one.rows, note=one.note))
            drawn.append(Markup(drawings.robustness(by_kind, list_methods(rows), label)))
    return Section(name="robustness", title="Robustness", tables=tables, drawings=drawn) if tables else None


def render_groups(groups: Sequence[GroupRow]) -> Section | None:
    lines = [
        [Entry(text=str(text)) for text in (*astuple(one.job), one.test, one.attribute, one.worst)]
        + [Entry(text=f"{one.worst_auroc:.3f}", value=one.worst_auroc)]
        + [Entry(text="-" if gap is None else f"{gap:.3f}") for gap in one.gaps.values()]
        for one in find_gaps(groups)
    ]
    head = ["method", "trained on", "seed", "tested on", "attribute", "worst group", "its video AUROC"]
    head += [f"gap in {title}" for title in titles(OF_GROUP).values()]
    note = (
        "Gaps are between the best and the worst group; small groups differ by chance, see groups.json for intervals."
    )
    return Section(name="groups", title="Groups", tables=[Table(head=head, rows=lines, note=note)]) if lines else None


def render_published(tests: Sequence[str], rows: Sequence[ResultRow] = ()) -> Section | None:
    """Beside the test sets that have the names of those of cross_dataset.yaml."""
    found = tabulate_published(tests, rows)
    return Section(name="published", title="Published elsewhere", tables=[found]) if found else None


def render_shared(rows: Sequence[ResultRow], out: Path) -> Section | None:
    """What each test set shares with each training set, once for all methods and seeds."""
    lines: dict[tuple[str, str, str], list[Entry]] = {}
    for row in summary.select_totals(summary.select_clean(rows)):
        file = row.job.test_folder(out, Condition(test=row.test)) / "predictions.parquet"
        if file.is_file():
            for text in describe_shared(read_shared(read_about(file), file)):
                line = (row.train, row.test, text)
                lines.setdefault(line, [Entry(text=part) for part in line])
    note = (
        "People and source clips are compared by hashes of their names, among data sets that are known to share them; "
        "files by their content; looks by a hash of three crops, which survives another container and coding, and not "
        "another stretch of the same recording."
    )
    shown = Table(head=["trained on", "tested on", "shared"], rows=list(lines.values()), note=note)
    return Section(name="shared", title="Shared with training", tables=[shown]) if lines else None


def faces(sweep: Sweep, rows: Sequence[ResultRow], out: Path) -> Section | None:
    """Those of the first training and seed of each method, on the first test set of which any left some."""
    mine = [
        row
        for row in summary.select_totals(summary.select_clean(rows))
        if not row.own_validation.is_below(sweep.min_validation_auroc)
    ]
    for test in sweep.test:
        images: dict[str, tuple[str, str]] = {}
        for row in mine:
            panel = row.job.test_folder(out, Condition(test=test)) / "panels/test.png"
            if row.test == test and row.method not in images and panel.is_file():
                images[row.method] = (str(row.job), base64.b64encode(panel.read_bytes()).decode())
        if images:
            note = "Above the face with its score, below with the border of the true mask, then the predicted one."
            return Section(
                name="faces",
                title=f"The same faces of {test}",
                tables=[Table(head=[], rows=[], note=note)],
                images=list(images.values()),
            )
    return None


def lead(sweep: Sweep, rows: Sequence[ResultRow], failures: Sequence[Failure]) -> str:
    seeds = f"{len(sweep.seeds)} seed{'s' * (len(sweep.seeds) > 1)}"
    methods = len(sweep.methods.keys() - sweep.prerequisites)
    text = f"{methods} methods, {len(sweep.train)} training and {len(sweep.test)} test sets, {seeds}"
    if sweep.degradations.kinds:
        text += f", {len(sweep.degradations.kinds)} degradations in {len(sweep.degradations.severities)} severities"
    tests = len({(row.job, row.test, row.degradation, row.severity) for row in rows})
    below = len(find_untrained(rows, sweep.min_validation_auroc))
    failed = f"{len(failures)} failure{'s' * (len(failures) > 1)}" if failures else "none failed"
    unlearned = f"; {below} training{'s' * (below > 1)} did not learn their own task" if below else ""
    return f"{text}: {tests} tests, {failed}{unlearned}."


def page(
    sweep: Sweep,
    rows: Sequence[ResultRow],
    failures: Sequence[Failure],
    families: Sequence[Family],
    groups: Sequence[GroupRow],
    out: Path,
) -> str:
    """
    Args:
        out: Folder of the sweep.
    """
    shown = [row for row in rows if row.method not in sweep.prerequisites]
    about_forgeries, about_pixels = summary.forgeries(shown), summary.localization(shown)
    about_time = summary.localization_in_time(shown)
    sections = [
        heat_map(shown, failures, sweep.min_validation_auroc),
        render_validation(shown, sweep.min_validation_auroc, out),
        Section(name="forgeries", title="Seen and unseen forgeries", tables=[about_forgeries])
        if about_forgeries
        else None,
        *(render_claims(family, i) for i, family in enumerate(families)),
        render_robustness(shown),
        Section(name="localization", title="Localization", tables=[about_pixels]) if about_pixels else None,
        Section(name="time", title="Localization in time", tables=[about_time]) if about_time else None,
        faces(sweep, shown, out),
        Section(
            name="operating", title="Thresholds and calibration", tables=[summary.tabulate_operating_points(shown)]
        ),
        render_shared(shown, out),
        render_groups(groups),
        Section(name="cost", title="Cost", tables=[summary.cost(rows)]),
        render_published(list(sweep.test), shown),
    ]
    return render(
        "benchmark/page.html",
        title=f"Sweep {out.name}",
        lead=lead(sweep, rows, failures),
        failures=[str(failure) for failure in failures],
        sections=[section for section in sections if section is not None],
        command=f"python -m suite benchmark --config {out / 'sweep.yaml'} --out NEW_FOLDER",
        plan=sweep.text(),
    )
