"""The metrics of groups of people, as a table of attributes names them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from datamodules import manifest
from datamodules.identities import first_person
from datamodules.prepared import checksums
from datamodules.runtime.errors import UserError
from lightning_modules.metrics.bootstrap import Videos, measure, resample
from lightning_modules.metrics.registry import get
from suite.benchmark.attributes import read_attributes
from suite.benchmark.plan import SweepJob
from suite.run_metrics import Run, videos

OF_GROUP = ("video_auroc", "video_fpr_at_validation", "video_tpr_at_validation")
FEWEST = 5  # reals, and fakes, below which a group has no metrics


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """One group of the people of one test.

    Args:
        values: Metrics and the ends of their intervals, by column; empty where the group is too small.
    """

    job: SweepJob
    test: str
    attribute: str
    group: str
    reals: int
    fakes: int
    values: dict[str, float | None]

    def to_json(self) -> dict[str, object]:
        about = {"test": self.test, "attribute": self.attribute, "group": self.group}
        return {**asdict(self.job), **about, "reals": self.reals, "fakes": self.fakes, **self.values}


def measure_groups(job: SweepJob, test: str, run: Run, prepared: Path, attributes: Path) -> Iterator[GroupRow]:
    """A row for each value of each attribute.

    Args:
        test: Name of the test set.
        prepared: Folder of the test set, whose manifest says who is in a video.
        attributes: A CSV file.
    """
    who, known = read_attributes(attributes)
    table = manifest.read(checksums.check(prepared, "manifest.csv"))
    about = manifest.keys(table).to_pylist()
    if who == "identity":
        about = dict(zip(about, map(first_person, table["identities"].to_pylist()), strict=True))
    else:
        about = dict(zip(about, about, strict=True))
    v = videos(run)
    mine = [known.get(about.get(name, ""), {}) for name in np.unique(run.table["video"].astype(str)).tolist()]
    if not any(mine):
        raise UserError(f"{attributes}: knows none of the {len(mine)} tested videos by its column {who}")
    for name in dict.fromkeys(key for one in mine for key in one):
        for value in sorted({one[name] for one in mine if name in one}):
            part = v.select(np.array([one.get(name) == value for one in mine]))
            values = measure_group(part, run.fixed_values) if min(part.reals, part.fakes) >= FEWEST else {}
            yield GroupRow(
                job=job, test=test, attribute=name, group=value, reals=part.reals, fakes=part.fakes, values=values
            )


def measure_group(part: Videos, fixed: dict[str, float]) -> dict[str, float | None]:
    draws = resample(part)
    out: dict[str, float | None] = {}
    for id in OF_GROUP:
        one = measure(get(id), part, fixed, draws)
        ends = {id: one.value, f"{id}_low": one.low, f"{id}_high": one.high}
        out |= {name: None if np.isnan(value) else value for name, value in ends.items()}
    return out


@dataclass(frozen=True, kw_only=True)
class AttributeGap:
    """The worst group of an attribute, and how far apart its groups are, of one test.

    Args:
        gaps: By metric.
    """

    job: SweepJob
    test: str
    attribute: str
    worst: str
    worst_auroc: float
    gaps: dict[str, float | None]


def subtract(values: Sequence[float | None]) -> float | None:
    """The largest less the smallest; None where one is not known."""
    known = [value for value in values if value is not None]
    return max(known) - min(known) if len(known) == len(values) else None


def find_gaps(groups: Sequence[GroupRow]) -> Iterator[AttributeGap]:
    """Of each attribute of each test that has two groups or more."""
    tests: dict[tuple[SweepJob, str, str], list[tuple[float, GroupRow]]] = {}
    for row in groups:
        if (auroc := row.values.get("video_auroc")) is not None:
            tests.setdefault((row.job, row.test, row.attribute), []).append((auroc, row))
    for (job, test, attribute), mine in tests.items():
        if len(mine) < 2:
            continue
        auroc, worst = min(mine, key=lambda one: one[0])
        gaps = {name: subtract([row.values[name] for _, row in mine]) for name in OF_GROUP}
        yield AttributeGap(job=job, test=test, attribute=attribute, worst=worst.group, worst_auroc=auroc, gaps=gaps)
