"""What a test set is tested as: as it is, and through degradations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.degradation.severities import Kind, stages
from datamodules.runtime.errors import UserError
from suite.benchmark.overrides import Overrides


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A test set and what happened to its videos."""

    test: str
    kind: Kind | None = None  # None: nothing
    severity: int = 0

    def __str__(self) -> str:
        return self.test if self.kind is None else f"{self.test}, {self.kind} {self.severity}"

    def place(self, out: Path) -> Path:
        """Folder of the degraded videos."""
        return out / "degraded" / self.test / f"{self.kind} {self.severity}"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How faces of degraded videos are looked for.

    Args:
        config: Files as 'prepare' takes them, in their order; the data set in them is passed over.
        overrides: What is changed of them, for instance its size and margin.
    """

    config: list[Path] = field(default_factory=list)
    overrides: Overrides = field(default_factory=Overrides)

    def __post_init__(self) -> None:
        object.__setattr__(self, "config", [file.absolute() for file in self.config])
        for file in self.config:
            if not file.is_file():
                raise UserError(f"prepare: {file}: no such file")


@dataclass(frozen=True, kw_only=True)
class Degradations:
    """What is done to all test sets.

    Args:
        kinds: For instance h264, blur, social.
        severities: 1 to 5.
        prepare: By the preparation of the methods; the one without a name is ''.
    """

    kinds: list[Kind] = field(default_factory=list)
    severities: list[int] = field(default_factory=lambda: [1, 2, 3, 4, 5])
    prepare: dict[str, Preparation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in self.kinds:
            for severity in self.severities:
                stages(kind, severity)  # refuses what is none

    def conditions(self, tests: Sequence[str]) -> Iterator[Condition]:
        """Each test set as it is, then degraded."""
        for test in tests:
            yield Condition(test=test)
        for test in tests:
            for kind in self.kinds:
                for severity in self.severities:
                    yield Condition(test=test, kind=kind, severity=severity)
