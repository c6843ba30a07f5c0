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
from datamodules.identities import first_person
from datamodules.prepared import checksums
from lightning_modules.metrics.bootstrap import Floats, Interval, aurocs
from lightning_modules.metrics.significance import Claim, Shared, claims
from suite.benchmark.conditions import Condition
from suite.benchmark.plan import NOTHING, Sweep
from suite.benchmark.results import ResultRow
from suite.benchmark.summary import select_clean, select_totals
from suite.run_metrics import read_run, videos

UNSEEN, SEEN = "forgeries that none of the methods was trained on", "forgeries that all methods were trained on"
ALL_TESTS = "all forgeries of all test sets"


@dataclass(frozen=True, kw_only=True)
class Family:
    """Claims that are made together, and of which tests."""

    about: str
    tests: list[str]
    claims: list[Claim]

    @classmethod
    def from_json(cls, family: Mapping[str, Any]) -> Family:
        claims = [Claim(**{**claim, "gain": Interval(**claim["gain"])}) for claim in family["claims"]]
        return cls(about=family["about"], tests=family["tests"], claims=claims)


@functools.lru_cache  # a test set comes up once for each training set
def clusters(prepared: Path) -> dict[str, str]:
    """The person that each video was made from, or the clip where nobody is known, whatever coded it."""
    rows = manifest.rows(manifest.read(checksums.check(prepared, "manifest.csv")))
    return {row.key: f"{row.dataset}/{first_person(row.identities) or row.stem}" for row in rows}


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
    runs: Mapping[str, Sequence[TestScores]], source: Mapping[str, str], about: str, training: str
) -> Shared | None:
    """Of the videos that all runs saw; nothing where those are of one class.

    Args:
        runs: The tests of each method, one for each seed.
        source: What each video was made from.
        about: Which forgeries are compared, beside the reals.
        training: Name of the training set.
    """
    every = [one for seeds in runs.values() for one in seeds]
    # with its label, which a data set may have corrected between two tests
    common = sorted(name for name, _ in set.intersection(*(set(one.label.items()) for one in every)))
    if about != ALL_TESTS:
        trained, forgery = [one.trained_on or set() for one in every], every[0].forgery
        kept = set.intersection(*trained) if about == SEEN else set(forgery.values()).difference(*trained)
        common = [name for name in common if not every[0].label[name] or forgery[name] in kept]
    label = np.array([every[0].label[name] for name in common], np.int64)
    if min((label == 0).sum(), (label == 1).sum()) < 2:
        return None
    scores: dict[str, Floats] = {
        name: np.array([[one.score[video] for video in common] for one in seeds]) for name, seeds in runs.items()
    }
    cluster: NDArray[np.str_] = np.array([source.get(video, video) for video in common])
    return Shared(scores=scores, label=label, cluster=cluster, training=training)


def compare(sweep: Sweep, rows: Sequence[ResultRow], out: Path, where: Path) -> list[Family]:
    """Each method against each, where all were tested: of forgeries that none had seen, that all had, and of all.

    Of methods of which nobody knows what they were trained on, nothing is said of seen and unseen forgeries.

    Args:
        rows: Of the results.
        out: Folder of the sweep.
        where: The folder that paths in configs are relative to.
    """
    tested = [
        row
        for row in select_totals(select_clean(rows))
        if row.method not in sweep.prerequisites and not row.own_validation.is_below(sweep.min_validation_auroc)
    ]
    # nothing is claimed of first stages, nor of what looks at nothing
    methods = sorted({row.method for row in tested if not is_constant(row)})
    runs: dict[tuple[str, str], dict[str, list[TestScores]]] = {}
    for train, test in product(sweep.train, sweep.test) if len(methods) > 1 else ():
        mine = [row for row in tested if row.test == test and row.train in (train, NOTHING) and row.method in methods]
        if {row.method for row in mine} == set(methods):
            # of methods none of which is trained here there is one test, whatever others would be trained on
            trained = train if any(row.train == train for row in mine) else NOTHING
            of = runs[trained, test] = {name: [] for name in methods}
            for row in mine:
                of[row.method].append(read_test_scores(row.job.test_folder(out, Condition(test=test))))
    known = [name for name in methods if all(one.trained_on is not None for of in runs.values() for one in of[name])]
    families = []
    for about, names in ((UNSEEN, known), (SEEN, known), (ALL_TESTS, methods)):
        found: dict[str, Shared] = {}
        for (train, test), of in runs.items() if len(names) > 1 else ():
            # scores of others need no prepared folder, and all preparations have the same people
            looked_up = next((name for name in names if test not in sweep.methods[name].scores), None)
            source: dict[str, str] = {}
            if looked_up is not None:
                settings = sweep.data(Condition(test=test), sweep.methods[looked_up].preparation, out)
                source = clusters(where / settings["data"]["prepared"])
            one = select_shared({name: of[name] for name in names}, source, about, train)
            if one is not None:
                found[test if train == NOTHING else f"{test}, trained on {train}"] = one
        if found:
            sets = list(found.values())
            families.append(Family(about=about, tests=list(found), claims=claims(sets, rank_pairs(sets))))
    return families


def is_constant(row: ResultRow) -> bool:
    """Whether a test has scored all videos alike."""
    return {row.values.get(f"video_auroc{end}") for end in ("", "_low", "_high")} == {0.5}


def rank_pairs(sets: Sequence[Shared]) -> list[tuple[str, str]]:
    """Pairs, the better one first, as ``claims`` averages."""

    def value(name: str) -> float:
        each = [
            np.mean([aurocs(score, one.label, np.ones((1, len(one.label)))) for score in one.scores[name]])
            for one in sets
        ]
        return float(np.mean(each))

    return list(combinations(sorted(sets[0].scores, key=lambda name: (-value(name), name)), 2))
