"""What a stranger may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass

from datamodules.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """
    Args:
        megabytes: Of an upload.
        sending: Seconds that an upload may take.
        seconds: That looking at a file may take.
        waiting: Files that may wait for their turn.
        keep: Seconds that results are kept.
    """

    megabytes: float = 512.0
    sending: float = 300.0
    seconds: float = 600.0
    waiting: int = 8
    keep: float = 1800.0

    def __post_init__(self) -> None:
        for name in ("megabytes", "sending", "seconds", "keep"):
            if getattr(self, name) <= 0:
                raise UserError(f"bounds.{name} {getattr(self, name)}: must be above 0")
