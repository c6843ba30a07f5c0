"""Trainings and tests of a sweep, each a command of its own; what is done is left as it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from datamodules.annotation.request import WAITING
from datamodules.degradation.dataset import LOST
from datamodules.runtime import process_pool, ray_cluster
from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from datamodules.runtime.stored_files import read_json, show
from lightning_modules.metrics.bootstrap import Outdated
from suite.benchmark.conditions import Condition
from suite.benchmark.detector_source import hash_source
from suite.benchmark.overrides import Config, merge
from suite.benchmark.plan import Sweep, SweepJob
from suite.benchmark.results import ResultRow, measure_rows
from suite.benchmark.subgroups import GroupRow, measure_groups
from suite.cli.config_file import list_files
from suite.run_metrics import read_run

BEGUN, DONE = "asked.json", "done.json"  # in the folder of a command: what it was, and that it came to its end
ENDING = 60  # seconds that a command may take to end once it is told to
HOME = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A command that did not come to its end."""

    job: SweepJob | None  # None: the degrading of a test set
    test: Condition | None  # None: the training
    reason: str

    def __str__(self) -> str:
        if self.job is None:
            return f"{self.test}: {self.reason}"
        return f"{self.job}{f', tested on {self.test}' if self.test else ''}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What came of a training and its tests."""

    rows: list[ResultRow]  # of results, of the tests that came to their end with the settings of this sweep
    failures: list[Failure]
    groups: list[GroupRow] = field(default_factory=list)  # of people, where a test set knows them
    is_training: bool = True  # or what went before all of them


class Stopped(Exception):
    """A command ended with an error; its last words."""


def run_sweep(sweep: Sweep, out: Path, workers: int, address: str | None = None) -> Iterator[JobResult]:
    """
    Args:
        workers: Trainings at the same time on this machine.
        address: Of a Ray cluster, each of whose trainings gets a GPU of its own, where there are any.
    """
    here, lost = Path.cwd(), set()

    def spread(jobs: list[process_pool.Job], one_gpu: bool) -> Iterator[Any]:
        if jobs and address is not None:
            yield from ray_cluster.run(jobs, address, workers, one_gpu)
        elif jobs:
            # more threads than cores wait for each other: two trainings with two each took eight times as long
            os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
            # a job waits for its commands: one at a time needs no process to wait in
            yield from process_pool.run(jobs, workers) if workers > 1 else (work(*given) for work, given in jobs)

    wanted = [condition for condition in sweep.conditions() if condition.kind is not None]
    for failure in spread([(degrade_test_set, (sweep, condition, out, here)) for condition in wanted], one_gpu=False):
        if failure is not None:
            lost.add(failure.test)
            yield JobResult(rows=[], failures=[failure], is_training=False)
    for is_awaited in (True, False):
        jobs = [job for job in sweep.jobs() if (job.method in sweep.prerequisites) is is_awaited]
        jobs.sort(key=lambda job: sweep.seeds.index(job.seed))  # what is stopped has all methods of the first seeds
        yield from spread([(run_job, (sweep, job, out, here, lost)) for job in jobs], one_gpu=True)


def degrade_test_set(sweep: Sweep, condition: Condition, out: Path, where: Path) -> Failure | None:
    """Degrades the videos of a test set and looks for their faces, for every method that wants them otherwise."""
    place, alone = condition.place(out), {"workers": 1}
    about = {"kind": condition.kind, "severity": condition.severity, "out": str(place)}
    settings = merge(sweep.test[condition.test].settings(), about, alone)
    try:
        Command("degrade", place, [], settings, [], place / LOST).go(where)
        for preparation in sorted({entrant.preparation for entrant in sweep.methods.values()}):
            asked, folder = sweep.degradations.prepare[preparation], place / f"prepared{preparation}"
            # faces that are not found any more are what coverage says
            settings = merge(asked.overrides, sweep.data(condition, preparation, out), alone, {"max_skipped": 1.0})
            Command("prepare", folder, asked.config, settings, [], folder / "manifest.csv").go(where)
    except (Stopped, UserError, OSError) as error:
        return Failure(job=None, test=condition, reason=str(error))
    return None


def run_job(sweep: Sweep, job: SweepJob, out: Path, where: Path, lost: set[Condition]) -> JobResult:
    """
    Args:
        where: The folder that paths in configs are relative to.
        lost: Conditions that cannot be tested.
    """
    entrant, fit = sweep.methods[job.method], create_fit(sweep, job, out)
    if entrant.is_trained_here:
        first = sweep.first_stage(job)
        try:
            if first is not None and sweep.methods[first.method].is_trained_here:
                awaited = create_fit(sweep, first, out)
                if not awaited.is_done(awaited.identity(where)):
                    # it left a best.ckpt, perhaps, which may be that of any epoch
                    raise Stopped(f"its first stage ({first}) did not come to its end")
            fit.go(where)
        except (Stopped, UserError, OSError) as error:
            return JobResult(rows=[], failures=[Failure(job=job, test=None, reason=str(error))])
    weights = [entrant.checkpoint] if entrant.checkpoint else [fit.product] if entrant.is_trained_here else []
    rows: list[ResultRow] = []
    groups: list[GroupRow] = []
    failures: list[Failure] = []
    for condition in sweep.conditions(job.method):
        if condition in lost:
            continue
        place, data = job.test_folder(out, condition), sweep.data(condition, entrant.preparation, out)
        product, changes = place / "predictions.parquet", {"run": str(place)}
        if (scores := entrant.scores.get(condition.test)) is not None:
            settings, table = merge(data, changes, {"scores": str(scores)}), scores / product.name
            test = Command("import-scores", place, [], settings, [table if scores.is_dir() else scores], product)
        else:
            tested = merge(
                sweep.settings(job, out, is_test=True), data, changes, sweep.wandb_settings(job, out, condition)
            )
            test = Command("test", place, entrant.config, tested, weights, product)
        try:
            test.go(where)
            prepared = where / data["data"]["prepared"]
            seconds = None if entrant.scores else test.seconds()
            is_drawn = data["data"].get("split") is not None  # 'prepare' does not know what of it is for testing
            taken = {"train": fit.seconds(), "test": seconds}
            found = measure_rows(job, condition, place, None if is_drawn else prepared, taken)
            share = found[0].values["coverage"]
            if condition.kind is None and share is not None and share < sweep.min_coverage:
                what = "score" if entrant.scores else "face and a clip"
                reason = f"{share:.1%} of its videos have a {what}, less than min_coverage {sweep.min_coverage:.1%}"
                others = "" if entrant.scores else f"{prepared / 'skipped.csv'} has those without a face, "
                raise UserError(f"{reason}; {others}{place} has the metrics")
            rows += found
            attributes = sweep.test[condition.test].attributes
            if attributes is not None and condition.kind is None:
                groups += measure_groups(job, condition.test, read_run(place), prepared, attributes)
        except Outdated as error:
            test.forget()
            failures.append(Failure(job=job, test=condition, reason=f"{error}: the next call does"))
        except (Stopped, UserError, OSError, pa.ArrowException) as error:
            failures.append(Failure(job=job, test=condition, reason=str(error)))
    return JobResult(rows=rows, failures=failures, groups=groups)


def create_fit(sweep: Sweep, job: SweepJob, out: Path) -> Command:
    entrant, run = sweep.methods[job.method], job.run(out)
    given = [first] if (first := sweep.generator(job, out)) is not None else []
    return Command("fit", run, entrant.config, sweep.settings(job, out), given, run / "checkpoints/best.ckpt")


@dataclass(frozen=True)
class Command:
    """'python -m suite' in a folder of its own, once for the same configs, settings and weights.

    Prepared faces are not compared: after preparing more of them, give another --out.
    """

    verb: str
    folder: Path
    configs: list[Path]
    settings: Config
    weights: list[Path]  # that it begins with
    product: Path  # without which it did not come to its end

    def identity(self, where: Path = Path()) -> str:
        """
        Args:
            where: See run_job.
        """
        states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in self.weights]
        texts = [file.read_text() for config in self.configs for file in list_files(config)]
        settings = {name: value for name, value in self.settings.items() if not name.startswith("wandb")}
        about: dict[str, Any] = {"configs": texts, "settings": settings, "weights": states}
        model = settings.get("model") or {}
        if (detector := (model.get("init_args") or {}).get("detector")) is not None:
            about["detector"] = hash_source(str(detector), where)
        return json.dumps(about, indent=1)

    def seconds(self) -> float | None:
        done = self.folder / DONE
        if not done.is_file():
            return None
        taken = read_json(done, dict).get("seconds", "missing")
        if taken is not None and not (type(taken) in (int, float) and taken >= 0):
            raise UserError(f"{done}: seconds {show(taken)}: must be null or a number from 0 on; remove the file")
        return None if taken is None else float(taken)

    def is_begun(self, identity: str) -> bool:
        """With the same configs, settings and weights."""
        begun = self.folder / BEGUN
        return begun.is_file() and begun.read_text() == identity

    def is_done(self, identity: str) -> bool:
        return (self.folder / DONE).is_file() and self.is_begun(identity)

    def forget(self) -> None:
        """Has it run again when it is asked for again."""
        (self.folder / DONE).unlink(missing_ok=True)

    def go(self, where: Path) -> None:
        """Runs it, unless it came to its end before; its words are in <verb>.log."""
        asked, done = self.identity(where), self.folder / DONE
        if self.is_done(asked):
            return
        is_same = self.is_begun(asked)
        with hold_folder(self.folder, "benchmark", patience=ENDING):
            pass  # a command of a sweep that was killed has come to its end
        saved = list((self.folder / "checkpoints").glob("*.ckpt"))
        if saved and not is_same:
            raise Stopped(f"{self.folder}: holds a run with other settings; give another --out, or remove it")
        options = ["--ckpt_path", str(self.weights[0])] if self.verb == "test" and self.weights else []
        if self.folder / "checkpoints/last.ckpt" in saved:
            options = ["--ckpt_path", "last"]
        elif self.verb in ("fit", "test", "import-scores"):  # killed before there was anything to go on from
            for file in [*saved, self.product]:
                file.unlink(missing_ok=True)
        done.unlink(missing_ok=True)
        write_text(self.folder / BEGUN, asked)
        changed = self.folder / "settings.yaml"
        write_text(changed, yaml.safe_dump(self.settings, sort_keys=False))
        start = time.perf_counter()
        self.run([*self.configs, changed], options, where)
        taken = None if saved else round(time.perf_counter() - start, 1)  # of a part it would say too little
        write_text(done, json.dumps({"seconds": taken}) + "\n")

    def run(self, configs: list[Path], options: list[str], where: Path) -> None:
        given = [word for file in configs for word in ("--config", str(file))]
        path, log = os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")]), self.folder / f"{self.verb}.log"
        with log.open("w") as said:
            code = subprocess.run(
                [sys.executable, "-m", "suite", self.verb, *given, *options],
                cwd=where,
                env={**os.environ, "PYTHONPATH": path},
                stdout=said,
                stderr=said,
                check=False,
                preexec_fn=process_pool.die_with_parent,
            ).returncode
        if code < 0:
            raise Stopped(f"{self.verb} was ended by signal {signal.Signals(-code).name}")
        if code:
            lines = [line for line in log.read_text(errors="replace").split("\n") if line.strip()]
            reasons = [line.removeprefix("suite: ") for line in lines if line.startswith("suite: ")] or lines
            raise Stopped(reasons[-1] if reasons else f"exit status {code}")
        if (self.folder / WAITING).is_file():
            raise Stopped((self.folder / WAITING).read_text())
        if not self.product.is_file():
            why = ": was nothing validated?" if self.verb == "fit" else ""
            raise Stopped(f"{self.verb} ended without {self.product.name}{why}")
