"""The verb that trains and tests methods against data sets, and tabulates what comes out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from jsonargparse import auto_cli

from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from suite.benchmark.comparisons import compare
from suite.benchmark.conditions import Degradations
from suite.benchmark.overrides import Overrides
from suite.benchmark.page import page
from suite.benchmark.plan import DatasetSpec, MethodSpec, Sweep
from suite.benchmark.results import ResultRow, write
from suite.benchmark.runner import Failure, run_sweep
from suite.benchmark.subgroups import GroupRow
from suite.benchmark.tables import claims_csv, latex, markdown, matrix, table
from suite.benchmark.untrained import find_untrained, withhold
from suite.cli.parser import Parser
from suite.cli.progress import bar


def benchmark(
    methods: dict[str, MethodSpec],
    train: dict[str, DatasetSpec],
    test: dict[str, DatasetSpec],
    seeds: list[int] = [0],  # noqa: B006
    overrides: Overrides = Overrides(),  # noqa: B008
    degradations: Degradations = Degradations(),  # noqa: B008
    min_coverage: float = 0.99,
    min_validation_auroc: float = 0.9,
    out: Path = Path("runs/benchmark"),
    workers: int = 1,
    cluster: str | None = None,
    wandb: str | None = None,
) -> None:
    """Train every method on every training set with every seed, and test it on every test set.

    Called again, it resumes. A training or a test that fails is named, and costs no other.

    Args:
        methods: By the name that the tables have.
        train: Training sets.
        test: Test sets.
        seeds: Of the trainings.
        overrides: Of the configs of all methods, for instance how long they train.
        degradations: What else the test videos go through, before faces are looked for.
        min_coverage: Share of the videos of a test set that must have a face, or the test has failed; of what was
            degraded the share is only told.
        min_validation_auroc: Video AUROC that a training must reach on its own validation: below it, its tests give
            no metric and no comparison; 0 is without.
        out: Folder of the runs and the tables.
        workers: Trainings at the same time on this machine.
        cluster: Address of a Ray cluster that sees the same folders, where each training has a GPU of its own; local
            starts one here.
        wandb: W&B project to log all trainings and tests to, as one group with tags; offline without a key.
    """
    sweep = Sweep(
        methods=methods,
        train=train,
        test=test,
        seeds=seeds,
        overrides=overrides,
        degradations=degradations,
        min_coverage=min_coverage,
        min_validation_auroc=min_validation_auroc,
        wandb=wandb,
    )
    with hold_folder(out, "benchmark"):
        run(sweep, out.absolute(), workers, cluster)


def run(sweep: Sweep, out: Path, workers: int, cluster: str | None) -> None:
    """What is not done yet, and the tables of all."""
    min_validation_auroc = sweep.min_validation_auroc
    write_text(out / "sweep.yaml", sweep.text())
    rows: list[ResultRow] = []
    groups: list[GroupRow] = []
    failures: list[Failure] = []
    total, done = len(list(sweep.jobs())), 0
    with bar("training and testing", unit="trainings") as show:
        show(0, total)
        for one in run_sweep(sweep, out, workers, cluster):
            rows += one.rows
            groups += one.groups
            failures += one.failures
            done += one.is_training
            show(done, total)
    write_text(out / "failures.txt", "".join(f"{failure}\n" for failure in failures))
    order = list(sweep.jobs())
    rows.sort(key=lambda row: order.index(row.job))
    unlearned = find_untrained(rows, min_validation_auroc)
    rows = withhold(rows, min_validation_auroc)
    groups = [row for row in groups if row.job not in unlearned]
    write(rows, out)
    cells = table(matrix(rows, failures, min_validation_auroc))
    write_text(out / "table.md", markdown(cells))
    write_text(out / "table.tex", latex(cells))
    families = compare(sweep, rows, out, Path.cwd())
    write_text(out / "claims.json", json.dumps([asdict(family) for family in families], indent=1) + "\n")
    write_text(out / "claims.csv", claims_csv(families))
    write_text(out / "groups.json", json.dumps([row.to_json() for row in groups], indent=1) + "\n")
    write_text(out / "report.html", page(sweep, rows, failures, families, groups, out))
    print(markdown(cells), end="")
    print(f"{out}: video AUROC above; report.html has all, and results.parquet, results.json, table.md, table.tex")
    for job in sweep.jobs():
        if job in unlearned:
            print(f"{job}: not trained; --min_validation_auroc 0 shows its tests all the same")
    if failures:
        more = f" and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise UserError(
            f"{len(failures)} failed: {'; '.join(map(str, failures[:3]))}{more}; see {out / 'failures.txt'}"
        )


def main(argv: list[str]) -> None:
    auto_cli(benchmark, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite benchmark")
