"""What a stranger may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass

from datamodules.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """
    Args:
        max_megabytes: Of an upload.
        upload_seconds: Seconds that an upload may take.
        analysis_seconds: That looking at a file may take.
        max_waiting: Files that may wait for their turn.
        keep_seconds: Seconds that results are kept.
    """

    max_megabytes: float = 512.0
    upload_seconds: float = 300.0
    analysis_seconds: float = 600.0
    max_waiting: int = 8
    keep_seconds: float = 1800.0

    def __post_init__(self) -> None:
        for name in ("max_megabytes", "upload_seconds", "analysis_seconds", "keep_seconds"):
            if getattr(self, name) <= 0:
                raise UserError(f"bounds.{name} {getattr(self, name)}: must be above 0")
