"""A table of all files that were examined into a folder, one row for each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from datamodules.runtime.atomic_files import name_failures, write_atomically
from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name
from suite.detect.reasons import join_reasons
from suite.detect.result import Document

TABLE = "results.csv"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for one begins so


def identify(path: Path) -> str:
    """What a row calls a file, wherever the call came from; nor is it a formula of a spreadsheet."""
    return format_name(path.parent.resolve() / path.name)  # a link is not the file that it leads to


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """What is said of a file; of its faces that of the most suspicious one."""

    file: str
    folder: str
    verdict: str
    probability: float | None
    unclear_above: float | None
    forged_above: float | None
    faces: int
    seconds: float | None
    frames: int | None
    damaged_frames: int | None
    reasons: str

    @classmethod
    def of(cls, path: Path, folder: str, document: Document) -> FileRow:
        judged, reasons = document.judged, join_reasons(document.reasons)
        return cls(
            file=identify(path),
            folder=f"./{folder}",
            verdict=document.verdict,
            probability=judged[0].probability if judged else None,
            unclear_above=judged[0].thresholds["unclear"] if judged else None,
            forged_above=judged[0].thresholds["forged"] if judged else None,
            faces=len(document.faces),
            seconds=document.file.seconds,
            frames=document.file.frames,
            damaged_frames=document.file.damaged,
            reasons=f"./{reasons}" if reasons.startswith(FORMULA) else reasons,  # the name of a file comes first
        )


COLUMNS = [one.name for one in fields(FileRow)]


class ResultTable:
    """A row is replaced once the file has its new result; those of other files that lie beside them stay."""

    def __init__(self, out: Path) -> None:
        self.path = out / TABLE

    def begin(self) -> None:
        """Rows without a folder go."""
        self.write(self.read())

    def read(self) -> list[dict[str, str]]:
        """The rows whose folders are there."""
        if not self.path.exists():
            return []
        try:
            with self.path.open(encoding="utf-8", errors="replace", newline="") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames != COLUMNS:
                    raise UserError(f"{self.path}: is no table of detect; move it, or give another --out")
                rows = list(reader)
        except csv.Error as error:
            rule = "move it and the next call begins a new one, or give another --out"
            raise UserError(f"{self.path}: cannot be read as a table ({error}); {rule}") from error
        return [row for row in rows if row["folder"] and (self.path.parent / row["folder"]).is_dir()]

    def owners(self) -> dict[str, str]:
        """Which file each folder is of; of tables of before, whose files are relative to some folder, none."""
        return {row["folder"].removeprefix("./"): row["file"] for row in self.read() if Path(row["file"]).is_absolute()}

    def add(self, row: FileRow) -> None:
        if self.path.exists() and row.folder not in self.folders:  # the usual case: a table of thousands is not copied
            with name_failures(self.path), self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, COLUMNS).writerow(asdict(row))
        else:
            self.write([*(one for one in self.read() if one["folder"] != row.folder), asdict(row)])
        self.folders.add(row.folder)

    @cached_property
    def folders(self) -> set[str]:
        """That have a row."""
        return {row["folder"] for row in self.read()}

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        with write_atomically(self.path) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
