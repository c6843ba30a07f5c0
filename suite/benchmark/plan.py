"""What is compared with what: methods, what they are trained on, what they are tested on, seeds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from datamodules.runtime.errors import UserError
from lightning_modules.own_validation import LIMIT, check_limit
from suite.benchmark.attributes import read_attributes
from suite.benchmark.conditions import Condition, Degradations
from suite.benchmark.overrides import Config, Overrides, merge
from suite.cli.suggest import suggest

# of a data set: what another one does not say must not be left over from it
NOT_SAID = dict.fromkeys(("compression", "index", "methods", "prepared", "root", "sets", "split"))

# of a training set: what its tests do not take over, or trainings would be tested on other videos, or frames
LEARNT_ALONE = ("audio_fakes", "eval_clips")

FOREIGN = "lightning_modules.foreign_detector.ForeignDetector"
NOTHING = "-"  # the training set of what is taken as it is


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """A method as it is entered.

    Args:
        config: Files as 'fit' takes them, in their order.
        detector: Instead of a config: package.module:factory of a detector outside the suite, tested as it is.
        scores: Instead of a config: by test set a CSV file of somebody else's scores, as 'import-scores' takes it, or
            the folder that it made. A test set without one has no row.
        overrides: What is changed of them, as a config has it.
        checkpoint: Tested as it is, once, without a training.
        trained: Without it, and without a checkpoint, what the configs make is tested once: converted weights, or masks
            that look at nothing.
        generator_from: Method that is trained before on the same data; its best weights are this one's generator.
        preparation: What is added to the folder of prepared faces of each data set: a method may want another margin.
    """

    config: list[Path] = field(default_factory=list)
    detector: str | None = None
    scores: Mapping[str, Path] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=Overrides)
    checkpoint: Path | None = None
    trained: bool = True
    generator_from: str | None = None
    preparation: str = ""

    @property
    def is_trained_here(self) -> bool:
        return self.trained and self.checkpoint is None and self.detector is None and not self.scores

    def __post_init__(self) -> None:
        object.__setattr__(self, "config", [file.absolute() for file in self.config])
        if self.checkpoint is not None:
            object.__setattr__(self, "checkpoint", self.checkpoint.absolute())
        object.__setattr__(self, "scores", {test: file.absolute() for test, file in self.scores.items()})
        for file in [*self.config, *([self.checkpoint] if self.checkpoint else [])]:
            if not file.is_file():
                raise UserError(f"methods: {file}: no such file")
        for file in self.scores.values():
            if not file.exists():
                raise UserError(f"methods: scores: {file}: neither a file nor a folder")

    def check(self, tests: Collection[str]) -> None:
        """Refuses what cannot be entered, without its name.

        Args:
            tests: Names of the test sets.
        """
        given = [name for name in ("config", "detector", "scores") if getattr(self, name)]
        others = given + [name for name in ("checkpoint", "generator_from") if getattr(self, name)]
        if self.scores and (self.overrides or self.preparation):
            others += ["overrides" if self.overrides else "preparation"]
        if len(given) != 1 or ("config" not in given and len(others) > 1):
            raise UserError(f"{', '.join(others) or 'nothing'}: must be config alone, or detector, or scores")
        for test in self.scores:
            if test not in tests:
                raise UserError(f"scores: {test!r} is none of the test sets{suggest(test, tests)}")


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set, or a part of it.

    Args:
        data: File of configs/data.
        overrides: What is changed of its arguments, for instance its methods.
        attributes: A CSV file with a column video or identity and one for each attribute, whose groups are compared.
    """

    data: Path
    overrides: Overrides = field(default_factory=Overrides)
    attributes: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", self.data.absolute())
        if self.attributes is not None:
            object.__setattr__(self, "attributes", self.attributes.absolute())
            read_attributes(self.attributes)
        if not self.data.is_file():
            raise UserError(f"{self.data}: no such file")

    def settings(self, preparation: str = "") -> Config:
        found = yaml.safe_load(self.data.read_text())
        arguments = NOT_SAID | (found if isinstance(found, dict) else {}) | dict(self.overrides)
        sets = [dict(one) for one in arguments["sets"] or [arguments]]
        if not all(one.get("prepared") for one in sets):
            raise UserError(f"{self.data}: must have 'prepared', or 'sets' with it")
        for one in sets:
            one["prepared"] = str(one["prepared"]) + preparation
        arguments = arguments | {"sets": sets} if arguments["sets"] else sets[0]
        return {"data": arguments}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    methods: Mapping[str, MethodSpec]
    train: Mapping[str, DatasetSpec]
    test: Mapping[str, DatasetSpec]
    seeds: list[int]
    overrides: Mapping[str, Any]
    degradations: Degradations = field(default_factory=Degradations)
    min_coverage: float = 0.99
    min_validation_auroc: float = LIMIT  # video AUROC that a training must reach on its own validation
    wandb: str | None = None  # project

    def __post_init__(self) -> None:
        for kind in ("methods", "train", "test"):
            for name in getattr(self, kind):
                if not name or name in (".", "..", NOTHING) or set(name) & set("/\\\0"):
                    raise UserError(f"{kind}: {name!r} cannot be the name of a folder")
            if not getattr(self, kind):
                raise UserError(f"{kind}: there must be at least one")
        if not 0 <= self.min_coverage <= 1:
            raise UserError(f"min_coverage {self.min_coverage}: must be a share, from 0 to 1")
        check_limit(self.min_validation_auroc)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds {self.seeds}: must be different numbers, at least one")
        for name, entrant in self.methods.items():
            if (first := entrant.generator_from) is not None:
                about = f"methods, {name}: generator_from {first!r}, which"
                if first not in self.methods:
                    raise UserError(f"{about} is not among them")
                if first == name or self.methods[first].generator_from:
                    raise UserError(f"{about} must not wait for another")
            try:
                entrant.check(self.test)
            except UserError as error:
                raise UserError(f"methods, {name}: {error}") from None
            if entrant.scores:
                continue
            if self.degradations.kinds and entrant.preparation not in self.degradations.prepare:
                known = ", ".join(map(repr, self.degradations.prepare)) or "none"
                raise UserError(
                    f"degradations, prepare: {entrant.preparation!r}, which {name} wants, is not there; {known} is"
                )
        for domain in (*self.train.values(), *self.test.values()):
            domain.settings()
        for name, domain in self.test.items():
            if domain.settings()["data"]["sets"]:
                raise UserError(f"test, {name}: sets: give each data set a test of its own")
            if domain.overrides.get("methods") is not None:
                raise UserError(f"test, {name}: methods: a test sees all forgeries; results.parquet has a row for each")

    def text(self) -> str:
        """As a file that 'benchmark' takes."""

        def to_plain(value: Any) -> Any:
            if is_dataclass(value):
                return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
            if isinstance(value, Mapping):
                return {key: to_plain(one) for key, one in value.items()}
            if isinstance(value, list):
                return [to_plain(one) for one in value]
            return str(value) if isinstance(value, Path) else value

        return yaml.safe_dump(to_plain(self), sort_keys=False)

    def conditions(self, method: str | None = None) -> list[Condition]:
        """Those of all methods, or those that one is tested under."""
        scores = self.methods[method].scores if method is not None else {}
        every = self.degradations.conditions(list(self.test))
        return [one for one in every if not scores or (one.kind is None and one.test in scores)]

    def data(self, condition: Condition, preparation: str, out: Path) -> Config:
        """Settings of a test set under a condition."""
        found = self.test[condition.test].settings(preparation)
        if condition.kind is None:
            return found
        place = condition.place(out)
        copy = {"root": str(place), "index": "datamodules.datasets.table.index"}
        return merge(found, {"data": {**copy, "prepared": str(place / f"prepared{preparation}")}})

    @property
    def prerequisites(self) -> set[str]:
        """Methods that others wait for."""
        return {entrant.generator_from for entrant in self.methods.values() if entrant.generator_from is not None}

    def jobs(self) -> Iterator[SweepJob]:
        """All trainings, those that others wait for first."""
        for name in sorted(self.methods, key=lambda name: name not in self.prerequisites):
            if not self.methods[name].is_trained_here:
                yield SweepJob(method=name, train=NOTHING, seed=self.seeds[0])
                continue
            for train in self.train:
                for seed in self.seeds:
                    yield SweepJob(method=name, train=train, seed=seed)

    def settings(self, job: SweepJob, out: Path, is_test: bool = False) -> Config:
        """What a training changes of the method's configs, or what its tests take over of that."""
        entrant = self.methods[job.method]
        learnt = self.train[job.train].settings(entrant.preparation) if entrant.is_trained_here else {}
        if is_test and learnt:
            learnt = {"data": {name: value for name, value in learnt["data"].items() if name not in LEARNT_ALONE}}
        every = dict(self.overrides)
        if entrant.detector is not None:  # has nothing of what is changed of the models of all methods
            every["model"] = {"class_path": FOREIGN, "init_args": {"detector": entrant.detector}}
        found = merge(learnt, every, entrant.overrides)
        if (generator := self.generator(job, out)) is not None:
            found = merge(found, {"model": {"init_args": {"generator_weights": str(generator)}}})
        return merge(found, {"seed_everything": job.seed, "run": str(job.run(out))}, self.wandb_settings(job, out))

    def wandb_settings(self, job: SweepJob, out: Path, condition: Condition | None = None) -> Config:
        """How the run of a training, or of a test, is told from the others on W&B; all are one group."""
        if self.wandb is None:
            return {}
        tags = [job.method, *([job.train] if job.train != NOTHING else []), f"seed {job.seed}"]
        config: Config = {"sweep_method": job.method, "sweep_train": job.train, "sweep_seed": job.seed}
        if condition is not None:
            tags.append(str(condition))
            config |= {"sweep_test": condition.test, "degradation": condition.kind, "severity": condition.severity}
        tags = [tag[:64] for tag in tags]  # longer ones W&B refuses
        return {"wandb": self.wandb, "wandb_group": out.name, "wandb_tags": tags, "wandb_config": config}

    def first_stage(self, job: SweepJob) -> SweepJob | None:
        """The training that one waits for, if any."""
        first = self.methods[job.method].generator_from
        return None if first is None else SweepJob(method=first, train=job.train, seed=job.seed)

    def generator(self, job: SweepJob, out: Path) -> Path | None:
        """Weights of the first stage."""
        if (first := self.first_stage(job)) is None:
            return None
        return self.methods[first.method].checkpoint or first.run(out) / "checkpoints/best.ckpt"


@dataclass(frozen=True, kw_only=True)
class SweepJob:
    """One training, and its tests."""

    method: str
    train: str
    seed: int

    def __str__(self) -> str:
        return self.method if self.train == NOTHING else f"{self.method}, trained on {self.train}, seed {self.seed}"

    def run(self, out: Path) -> Path:
        return out / "runs" / self.method / self.train / str(self.seed)

    def test_folder(self, out: Path, condition: Condition) -> Path:
        return self.run(out) / "tests" / str(condition)
