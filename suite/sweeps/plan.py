"""What is compared with what: methods, what they are trained on, what they are tested on, seeds."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import Refused

# of a data set: what another one does not say must not be left over from it
NOT_SAID = {"compression": None, "methods": None, "root": None}


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A method as it is entered.

    Args:
        config: Files as 'fit' takes them, in their order.
        change: What is changed of them, as a config has it.
        checkpoint: Tested as it is, without a training.
        after: Entrant that is trained before on the same data; its best weights are this one's generator.
        published: Where the settings are from, if they are somebody's.
    """

    config: list[Path]
    change: dict[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    after: str | None = None
    published: str | None = None


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A data set, or a part of it.

    Args:
        data: File of configs/data.
        change: What is changed of its arguments, for instance its methods.
    """

    data: Path
    change: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        if not self.data.is_file():
            raise Refused(f"{self.data}: no such file")
        found = yaml.safe_load(self.data.read_text())
        return {"data": found | {"init_args": NOT_SAID | found["init_args"] | self.change}}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    methods: Mapping[str, Entrant]
    train: Mapping[str, Domain]
    test: Mapping[str, Domain]
    seeds: list[int]
    change: Mapping[str, Any]

    def __post_init__(self) -> None:
        for kind in ("methods", "train", "test"):
            for name in getattr(self, kind):
                if not name or name in (".", "..") or set(name) & set("/\\\0"):
                    raise Refused(f"{kind}: {name!r} cannot be the name of a folder")
            if not getattr(self, kind):
                raise Refused(f"{kind}: there must be at least one")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise Refused(f"seeds {self.seeds}: must be different numbers, at least one")
        for name, entrant in self.methods.items():
            for file in entrant.config:
                if not file.is_file():
                    raise Refused(f"methods, {name}: {file}: no such file")
            if entrant.after is not None and entrant.after not in self.methods:
                raise Refused(f"methods, {name}: after {entrant.after!r}, which is not among them")
            if entrant.after == name or (entrant.after and self.methods[entrant.after].after):
                raise Refused(f"methods, {name}: after {entrant.after!r}, which must not wait for another")

    def cells(self) -> Iterator[Cell]:
        """All trainings, those that others wait for first."""
        first = {entrant.after for entrant in self.methods.values()} - {None}
        for name in sorted(self.methods, key=lambda name: name not in first):
            for train in self.train:
                for seed in self.seeds:
                    yield Cell(method=name, train=train, seed=seed)

    def settings(self, cell: Cell, out: Path) -> dict[str, Any]:
        """What a training changes of the method's configs."""
        entrant = self.methods[cell.method]
        found = merged(self.train[cell.train].settings(), self.change, entrant.change)
        if entrant.after is not None:
            before = Cell(method=entrant.after, train=cell.train, seed=cell.seed).run(out)
            weights = {"generator_weights": str(before / "checkpoints/best.ckpt")}
            found = merged(found, {"model": {"init_args": weights}})
        return merged(found, {"seed_everything": cell.seed, "run": str(cell.run(out))})


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training, and its tests."""

    method: str
    train: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method}, trained on {self.train}, seed {self.seed}"

    def run(self, out: Path) -> Path:
        return out / "runs" / self.method / self.train / str(self.seed)

    def tested(self, out: Path, test: str) -> Path:
        return self.run(out) / "tests" / test


def merged(*settings: Mapping[str, Any]) -> dict[str, Any]:
    """Later ones win, key by key."""
    out: dict[str, Any] = {}
    for one in settings:
        for key, value in one.items():
            both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
            out[key] = merged(out[key], value) if both else copy.deepcopy(value)
    return out
