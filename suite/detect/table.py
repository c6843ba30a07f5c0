"""A table of all files that were examined into a folder, one row for each."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path

from datamodules.runtime.atomic_files import name_failures, write_atomically
from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name
from suite.detect.result import Document

TABLE = "results.csv"


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
        judged, name = document.judged, format_name(path)
        return cls(
            file=name if path.is_absolute() else f"./{name}",  # nor is it a formula of a spreadsheet
            folder=f"./{folder}",
            verdict=document.verdict,
            probability=judged[0].probability if judged else None,
            unclear_above=judged[0].thresholds["unclear"] if judged else None,
            forged_above=judged[0].thresholds["forged"] if judged else None,
            faces=len(document.faces),
            seconds=document.file.seconds,
            frames=document.file.frames,
            damaged_frames=document.file.damaged,
            reasons="; ".join(document.reasons),
        )


COLUMNS = [one.name for one in fields(FileRow)]


class ResultTable:
    """Rows are written as files are done; those of other files that lie beside them stay."""

    def __init__(self, out: Path) -> None:
        self.path = out / TABLE

    def begin(self, folders: Collection[str]) -> None:
        """
        Args:
            folders: Those that are examined now, whose rows of before go.
        """
        gone = {f"./{folder}" for folder in folders}
        known = [row for row in self.read() if row["folder"] and row["folder"] not in gone]
        kept = [row for row in known if (self.path.parent / row["folder"]).is_dir()]
        with write_atomically(self.path) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", errors="replace", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                raise UserError(f"{self.path}: is no table of detect; move it, or give another --out")
            return list(reader)

    def add(self, row: FileRow) -> None:
        with name_failures(self.path), self.path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(vars(row))
