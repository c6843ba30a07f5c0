"""An upload, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from suite.detect.thresholds import Verdict
from suite.serve.worker import Conclusion

LONGEST_NAME = 120
State = Literal["sending", "waiting", "running", "done", "failed"]


@dataclass(frozen=True, kw_only=True)
class Status:
    """What the page is told of an upload, as JSON."""

    state: State
    done: int
    total: int
    message: str
    name: str
    verdict: Verdict | None
    reasons: list[str] | None


@dataclass(kw_only=True)
class Job:
    """An upload, and what becomes of it."""

    name: str
    folder: Path
    state: State = "sending"
    done: int = 0
    total: int = 0
    message: str = ""
    found: Conclusion | None = None
    is_wanted: bool = True
    pending: int = 0  # bytes of the upload, as declared, until it is removed
    kept: int = 0  # bytes of the result
    ended: float = 0.0

    @property
    def work(self) -> Path:
        """What the worker may write."""
        return self.folder / "work"

    def progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    def describe(self) -> Status:
        found = self.found
        return Status(
            state=self.state,
            done=self.done,
            total=self.total,
            message=self.message,
            name=self.name,
            verdict=found.verdict if found else None,
            reasons=found.reasons if found else None,
        )


def display_name(name: str) -> str:
    """The last part of a name, without what no name has."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:LONGEST_NAME] or "upload"
