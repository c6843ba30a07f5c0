"""What a stranger may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass, fields

from datamodules.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """
    Args:
        max_megabytes: Size of an upload.
        upload_seconds: Seconds that an upload may take.
        idle_seconds: Seconds in which a connection must send its headers, and that it may be silent afterwards.
        min_kilobytes_per_second: Mean rate of an upload, from idle_seconds on.
        max_connections: Connections at the same time; the oldest without a request makes room for another.
        max_waiting: Files that may wait for their turn, those that are being sent among them.
        max_pending_megabytes: Size of all uploads that are being sent or wait, by the lengths that they declare.
        analysis_seconds: Seconds that the analysis of a file may take.
        memory_megabytes: Memory that the analysis of a file may take beyond that of the loaded methods, on Linux.
        keep_seconds: Seconds that results are kept.
        max_kept_megabytes: Size of all results that are kept; the oldest are removed first.
    """

    max_megabytes: float = 512.0
    upload_seconds: float = 300.0
    idle_seconds: float = 10.0
    min_kilobytes_per_second: float = 16.0
    max_connections: int = 64
    max_waiting: int = 8
    max_pending_megabytes: float = 2048.0
    analysis_seconds: float = 600.0
    memory_megabytes: float = 4096.0
    keep_seconds: float = 1800.0
    max_kept_megabytes: float = 2048.0

    def __post_init__(self) -> None:
        for name in (one.name for one in fields(self) if one.name not in ("max_waiting", "min_kilobytes_per_second")):
            if getattr(self, name) <= 0:
                raise UserError(f"bounds.{name} {getattr(self, name)}: must be above 0")
        for name in ("max_waiting", "min_kilobytes_per_second"):
            if getattr(self, name) < 0:
                raise UserError(f"bounds.{name} {getattr(self, name)}: must be 0 or above")
        if self.max_pending_megabytes < self.max_megabytes:
            raise UserError(
                f"bounds.max_pending_megabytes {self.max_pending_megabytes:g}: must not be below that of one upload, "
                f"bounds.max_megabytes {self.max_megabytes:g}"
            )
