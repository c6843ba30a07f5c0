"""The matrix of a sweep, methods against test sets, as Markdown and LaTeX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from lightning_modules.metrics.registry import get
from suite.sweeps.play import Failure
from suite.sweeps.results import ALL

AUROC = get("video_auroc").id
LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "\\": r"\textbackslash{}"})


@dataclass(frozen=True, kw_only=True)
class Place:
    """One cell of the matrix: the seeds of a method, trained on one set and tested on another."""

    values: Sequence[float]
    low: float | None  # 95 % of the resampled videos, of a single seed
    high: float | None
    failed: int = 0  # seeds

    def __str__(self) -> str:
        if not self.values:
            return "failed" if self.failed else "-"
        if self.failed:
            return f"{mean(self.values):.3f} ({len(self.values)} of {len(self.values) + self.failed} seeds)"
        if len(self.values) > 1:
            return f"{mean(self.values):.3f} ± {stdev(self.values):.3f}"
        return f"{self.values[0]:.3f}" + (f" [{self.low:.3f}, {self.high:.3f}]" if self.low is not None else "")


Key = tuple[str, str, str]  # method, training set, test set


def matrix(rows: Sequence[Mapping[str, Any]], failures: Sequence[Failure]) -> dict[Key, Place]:
    """Of the video AUROC, of all forgeries together."""
    found: dict[Key, list[Mapping[str, Any]]] = {}
    failed = Counter[Key]()
    mine = [failure for failure in failures if failure.cell and not (failure.test and failure.test.kind)]
    tests = list(dict.fromkeys([row["test"] for row in rows] + [str(one.test) for one in mine if one.test is not None]))
    for row in rows:
        if row["forgery"] == ALL and row["degradation"] is None:
            found.setdefault((row["method"], row["train"], row["test"]), []).append(row)
    for failure in mine:  # a training that failed has failed every test
        assert failure.cell is not None
        for test in tests or [""] if failure.test is None else [str(failure.test)]:
            failed[failure.cell.method, failure.cell.train, test] += 1
    places = {}
    for key in [*found, *(key for key in failed if key not in found)]:
        seeds = found.get(key, [])
        values = [row[AUROC] for row in seeds if row[AUROC] is not None]
        low, high = (seeds[0][f"{AUROC}_{end}"] if len(seeds) == 1 else None for end in ("low", "high"))
        places[key] = Place(values=values, low=low, high=high, failed=failed[key])
    return places


def table(places: Mapping[Key, Place]) -> list[list[str]]:
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
