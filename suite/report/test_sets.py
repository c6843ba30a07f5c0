"""What runs were tested on: only runs on the same videos are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suite.run_metrics import Run, videos


@dataclass(frozen=True, kw_only=True)
class TestSet:
    name: str
    runs: list[Run]


def videos_of(run: Run) -> frozenset[tuple[str, int]]:
    """With their labels, which a data set may have corrected between two tests."""
    return frozenset(zip(run.table["video"].astype(str).tolist(), run.table["label"].tolist(), strict=True))


def releases_of(run: Run) -> str:
    """Data sets and compressions, and what was done to the videos."""
    pairs = sorted(set(zip(run.table["dataset"].tolist(), run.table["compression"].tolist(), strict=True)))
    degradation = run.about.get("degradation")
    return ", ".join(f"{d} {c}" for d, c in pairs) + (f", {degradation}" if degradation else "")


def group_by_test_set(runs: Sequence[Run]) -> list[TestSet]:
    """Runs on the same videos together, in their order; sets of one data set that differ say by how much."""
    groups: dict[tuple[str, frozenset[tuple[str, int]]], list[Run]] = {}
    for run in runs:
        groups.setdefault((releases_of(run), videos_of(run)), []).append(run)
    out = []
    for (release, mine), members in groups.items():
        v = videos(members[0])
        name = f"{release}: {v.reals} real and {v.fakes} fake videos"
        others = [theirs for release_of_theirs, theirs in groups if release_of_theirs == release and theirs != mine]
        if others:
            alone = len(mine.difference(*others))
            name += f", {alone} of them in no other set of this data set here (tested by {members[0].name})"
        out.append(TestSet(name=name, runs=members))
    return out
