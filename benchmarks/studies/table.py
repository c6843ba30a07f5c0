"""The metrics of a sweep as data: what its page says, without the folders of the machine that made it.

python -m benchmarks.studies.table --sweep runs/studio
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml

from benchmarks.record import record
from lightning_modules.metrics.registry import get
from suite.benchmark.results import ALL, ResultRow
from suite.benchmark.summary import known_values, select_clean, select_known, select_totals
from suite.benchmark.untrained import read_curves

METRICS = (
    "video_auroc",
    "video_balanced_accuracy_at_validation",
    "video_ece",
    "video_ece_calibrated",
    "pixel_auroc",
    "pixel_f1_at_half",
    "pixel_false_alarms_at_half",
    "boundary_auroc",
)


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Of the seeds."""
    if not values:
        return None
    return {"mean": round(mean(values), 4)} | ({"sd": round(stdev(values), 4)} if len(values) > 1 else {})


def measure(rows: Sequence[ResultRow], name: str) -> dict[str, Any] | None:
    """Of the seeds that learned their own task; of a single one with its 95 % interval."""
    known = select_known(rows, name)
    found: dict[str, Any] | None = spread(known_values(known, name))
    if found is not None and len(known) == 1:
        ends: list[Any] = [known[0].values.get(f"{name}_{end}") for end in ("low", "high")]
        found |= {} if None in ends else {"interval": [round(end, 4) for end in ends]}
    return found


def seconds(rows: Sequence[ResultRow], name: str) -> int | None:
    values = known_values(rows, name)
    return round(mean(values)) if values else None


def sum_rows(rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """One row for each method, training and test."""
    out = []
    for key in dict.fromkeys((row.method, row.train, row.test) for row in rows):
        mine = [row for row in rows if (row.method, row.train, row.test) == key]
        whole = select_totals(select_clean(mine))
        if not whole:
            continue
        parts = [row for row in select_clean(mine) if row.forgery != ALL]
        forgeries = {}
        for name in sorted({row.forgery for row in parts}):
            each = [row for row in parts if row.forgery == name]
            forgeries[name] = {"seen": each[0].seen, "video_auroc": spread(known_values(each, "video_auroc"))}
        own = [row.own_validation.auroc for row in whole if row.own_validation.auroc is not None]
        out.append(
            {
                **dict(zip(("method", "train", "test"), key, strict=True)),
                "seeds": sorted(row.seed for row in whole),
                "seeds_that_learned": sorted(row.seed for row in select_known(whole, "video_auroc")),
                "own_validation": spread(own),
                "reals": whole[0].reals,
                "fakes": whole[0].fakes,
                **{get(id).id: measure(whole, id) for id in METRICS},
                "parameters": whole[0].parameters,
                "train_seconds": seconds(whole, "train_seconds"),
                "forgeries": forgeries,
            }
        )
    return out


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("--sweep", type=Path, required=True)
    parser.add_argument("--name", default="table")
    given = parser.parse_args()
    rows = [ResultRow.from_json(row) for row in json.loads((given.sweep / "results.json").read_text())]
    families = json.loads((given.sweep / "claims.json").read_text())
    claims = {
        family["about"]: [
            {name: claim.get(name) for name in ("ours", "theirs", "gain", "bootstrap", "adjusted", "resolvable")}
            for claim in family["claims"]
        ]
        for family in families
    }
    plan = yaml.safe_load((given.sweep / "sweep.yaml").read_text())
    failures = (given.sweep / "failures.txt").read_text().splitlines()
    curves = read_curves(rows, given.sweep)  # of what was not trained there is none
    result = {"seeds": plan["seeds"], "rows": sum_rows(rows), "own_validation_by_epoch": curves}
    result |= {"claims": claims, "failures": failures}
    print(record(given.name, result))


if __name__ == "__main__":
    main()
