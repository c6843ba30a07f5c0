"""Which methods of a sweep are better than which others, on the same videos."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules import manifest
from datamodules.prepared import checksums
from lightning_modules.metrics.bootstrap import Floats, aurocs
from lightning_modules.metrics.significance import Claim, Shared, claims
from suite.benchmark.conditions import Condition
from suite.benchmark.plan import NOTHING, Sweep, SweepJob
from suite.benchmark.summary import select_clean, select_totals
from suite.benchmark.untrained import is_untrained
from suite.run_metrics import read_run, videos

UNSEEN, ALL_TESTS = "forgeries that none of the methods was trained on", "all forgeries of all test sets"


@dataclass(frozen=True, kw_only=True)
class Family:
    """Claims that are made together, and of which tests."""

    about: str
    tests: list[str]
    claims: list[Claim]


@functools.lru_cache  # a test set comes up once for each training set
def clusters(prepared: Path) -> dict[str, str]:
    """The person, or clip, that each video was made from, whatever coded it."""
    rows = manifest.rows(manifest.read(checksums.check(prepared, "manifest.csv")))
    return {row.key: f"{row.dataset}/{row.identities.split(' ')[0] or row.stem}" for row in rows}


@dataclass(frozen=True, kw_only=True)
class TestScores:
    """What a test says of each video."""

    score: dict[str, float]
    label: dict[str, int]
    forgery: dict[str, str]  # with its data set
    trained_on: set[str] | None  # None where it is not known


def read_test_scores(place: Path) -> TestScores:
    run = read_run(place)
    v = videos(run)
    names = np.unique(run.table["video"].astype(str)).tolist()
    columns = (dict(zip(names, values.tolist(), strict=True)) for values in (v.score, v.label, v.method))
    trained = set(json.loads(run.about.get("trained_on", "[]"))) or None
    return TestScores(**dict(zip(("score", "label", "forgery"), columns, strict=True)), trained_on=trained)


def select_shared(
    runs: Mapping[str, Sequence[TestScores]], source: Mapping[str, str], only_unseen: bool
) -> Shared | None:
    """Of the videos that all runs saw; nothing where those are of one class.

    Args:
        runs: The tests of each method, one for each seed.
        source: What each video was made from.
        only_unseen: Only reals, and forgeries that none of the runs was trained on.
    """
    every = [one for seeds in runs.values() for one in seeds]
    common = sorted(set.intersection(*(set(one.score) for one in every)))
    if only_unseen:
        if any(one.trained_on is None for one in every):
            return None
        seen = set[str]().union(*(one.trained_on or () for one in every))
        common = [name for name in common if not every[0].label[name] or every[0].forgery[name] not in seen]
    label = np.array([every[0].label[name] for name in common], np.int64)
    if min((label == 0).sum(), (label == 1).sum()) < 2:
        return None
    scores: dict[str, Floats] = {
        name: np.array([[one.score[video] for video in common] for one in seeds]) for name, seeds in runs.items()
    }
    cluster: NDArray[np.str_] = np.array([source.get(video, video) for video in common])
    return Shared(scores=scores, label=label, cluster=cluster)


def compare(sweep: Sweep, rows: Sequence[Mapping[str, Any]], out: Path, where: Path) -> list[Family]:
    """Each method against each, where all were tested: of forgeries that none had seen, and of all.

    Args:
        rows: Of the results.
        out: Folder of the sweep.
        where: The folder that paths in configs are relative to.
    """
    # nothing is claimed of first stages, nor of what looks at nothing
    silent = sweep.prerequisites | {
        name for name, one in sweep.methods.items() if not one.trained and not one.checkpoint
    }
    tested = [
        row
        for row in select_totals(select_clean(rows))
        if row["method"] not in silent and not is_untrained(row, sweep.min_validation_auroc)
    ]
    methods = sorted({row["method"] for row in tested})
    sets: dict[str, dict[str, Shared]] = {UNSEEN: {}, ALL_TESTS: {}}
    for train, test in product(sweep.train, sweep.test):
        mine = [row for row in tested if row["test"] == test and row["train"] in (train, NOTHING)]
        if len(methods) < 2 or {row["method"] for row in mine} != set(methods):
            continue
        condition = Condition(test=test)
        runs: dict[str, list[TestScores]] = {name: [] for name in methods}
        for row in mine:
            job = SweepJob(method=row["method"], train=row["train"], seed=row["seed"])
            runs[row["method"]].append(read_test_scores(job.test_folder(out, condition)))
        settings = sweep.data(condition, sweep.methods[methods[0]].preparation, out)
        source = clusters(where / settings["data"]["prepared"])
        for name, of in sets.items():
            one = select_shared(runs, source, name == UNSEEN)
            if one is not None:
                of[f"{test}, trained on {train}"] = one
    return [
        Family(about=name, tests=list(of), claims=claims(list(of.values()), rank_pairs(list(of.values()))))
        for name, of in sets.items()
        if of
    ]


def rank_pairs(sets: Sequence[Shared]) -> list[tuple[str, str]]:
    """Pairs, the better one first, as ``claims`` averages."""

    def value(name: str) -> float:
        each = [
            np.mean([aurocs(score, one.label, np.ones((1, len(one.label)))) for score in one.scores[name]])
            for one in sets
        ]
        return float(np.mean(each))

    return list(combinations(sorted(sets[0].scores, key=lambda name: (-value(name), name)), 2))
