"""The matrix of a sweep, methods against test sets, as Markdown and LaTeX; its claims as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isnan
from statistics import mean, stdev

from lightning_modules.metrics.registry import get
from lightning_modules.own_validation import LIMIT
from suite.benchmark.comparisons import Family
from suite.benchmark.results import ALL, ResultRow
from suite.benchmark.runner import Failure
from suite.benchmark.summary import known_values
from suite.benchmark.untrained import describe

AUROC = get("video_auroc").id
NAMES = ("asciitilde", "asciicircum", "backslash", "less", "greater", "bar")
LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"} | {c: rf"\text{name}{{}}" for c, name in zip("~^\\<>|", NAMES, strict=True)}
)


@dataclass(frozen=True, kw_only=True)
class MatrixCell:
    """One cell of the matrix: the seeds of a method, trained on one set and tested on another."""

    values: Sequence[float]
    low: float | None  # 95 % of the resamples, of a single seed
    high: float | None
    failed: int = 0  # seeds
    untrained: int = 0  # seeds that did not learn their own task
    reason: str = ""  # of their having no value

    def __str__(self) -> str:
        if not self.values:
            return self.reason if self.untrained else "failed" if self.failed else "-"
        if self.failed or self.untrained:
            total = len(self.values) + self.failed + self.untrained
            others = f"; {self.untrained} not trained" if self.untrained else ""
            return f"{mean(self.values):.3f} ({len(self.values)} of {total} seeds{others})"
        if len(self.values) > 1:
            return f"{mean(self.values):.3f} ± {stdev(self.values):.3f}"
        return f"{self.values[0]:.3f}" + (f" [{self.low:.3f}, {self.high:.3f}]" if self.low is not None else "")


Key = tuple[str, str, str]  # method, training set, test set


def matrix(
    rows: Sequence[ResultRow], failures: Sequence[Failure], min_validation_auroc: float = LIMIT
) -> dict[Key, MatrixCell]:
    """Of the video AUROC, of all forgeries together.

    Args:
        min_validation_auroc: What a training must reach on its own validation.
    """
    found: dict[Key, list[ResultRow]] = {}
    failed = Counter[Key]()
    mine = [failure for failure in failures if failure.job and not (failure.test and failure.test.kind)]
    tests = list(dict.fromkeys([row.test for row in rows] + [str(one.test) for one in mine if one.test is not None]))
    for row in rows:
        if row.forgery == ALL and row.degradation is None:
            found.setdefault((row.method, row.train, row.test), []).append(row)
    for failure in mine:  # a training that failed has failed every test
        assert failure.job is not None
        for test in tests or [""] if failure.test is None else [str(failure.test)]:
            key = failure.job.method, failure.job.train, test
            # what only failed to tell groups apart has its metrics
            failed[key] += all(row.seed != failure.job.seed for row in found.get(key, []))
    places = {}
    for key in [*found, *(key for key in failed if key not in found)]:
        below = [row for row in found.get(key, []) if row.own_validation.is_below(min_validation_auroc)]
        seeds = [row for row in found.get(key, []) if row not in below]
        values = known_values(seeds, AUROC)
        low, high = (seeds[0].values[f"{AUROC}_{end}"] if len(seeds) == 1 else None for end in ("low", "high"))
        places[key] = MatrixCell(values=values, low=low, high=high, failed=failed[key])
        places[key] = replace(places[key], untrained=len(below), reason=describe(below, min_validation_auroc))
    return places


def table(places: Mapping[Key, MatrixCell]) -> list[list[str]]:
    """With its heading: method, training set, then the test sets."""
    tests = list(dict.fromkeys(test for *_, test in places if test))
    rows = list(dict.fromkeys((method, train) for method, train, _ in places))
    out = [["method", "trained on", *tests]]
    for method, train in rows:
        out.append([method, train, *(str(places.get((method, train, test), "-")) for test in tests)])
    return out


def markdown(cells: list[list[str]]) -> str:
    lines = [[text.replace("|", "\\|") for text in row] for row in cells]
    lines.insert(1, ["---"] * len(cells[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def latex(cells: list[list[str]]) -> str:
    """For booktabs."""
    lines = [" & ".join(text.translate(LATEX).replace("±", r"$\pm$") for text in row) + r" \\" for row in cells]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{ll{'c' * (len(cells[0]) - 2)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def claims_csv(families: Sequence[Family]) -> str:
    """A line for each claim, with the smallest gain that it could have resolved."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("ours", "theirs", "gain", "gain_low", "gain_high", "p_bootstrap", "p_delong", "p_holm")
    writer.writerow(["about", *names, "smallest_resolvable_gain", "holds"])
    for family in families:
        for one in family.claims:
            numbers = (*asdict(one.gain).values(), one.bootstrap, one.delong, one.adjusted, one.resolvable)
            texts = ["" if isnan(number) else f"{number:.6g}" for number in numbers]
            writer.writerow([family.about, one.ours, one.theirs, *texts, one.is_resolved])
    return out.getvalue()
