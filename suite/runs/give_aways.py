"""What tells real from fake without a look at a face: measured by 'doctor', shown there and in reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.datasets.trait_sample import draw_files, measure_files
from datamodules.issues import Finding
from datamodules.manifest import SPLITS, Video
from datamodules.runtime.errors import UserError
from lightning_modules.metrics.give_aways import ALL, LIMIT, GiveAway, find_give_aways
from suite.cli.progress import bar

STRONGEST = 3  # traits of a forgery that are shown


@dataclass(frozen=True, kw_only=True)
class TraitReport:
    """
    Args:
        most: Files of each split that were drawn, at most.
        files: Files that were looked into.
        unreadable: Files that could not be.
    """

    most: int
    files: int
    unreadable: int
    rows: list[GiveAway]

    @property
    def about(self) -> str:
        text = f"{self.files} files, a fixed draw of at most {self.most} of each split"
        return text + (f"; {self.unreadable} could not be looked into" if self.unreadable else "")

    @property
    def traits(self) -> list[str]:
        """The strongest first."""
        whole = [row for row in self.rows if (row.split, row.forgery) == (ALL, ALL)]
        return [
            row.trait for row in sorted(whole, key=lambda row: -row.auroc.value if not isnan(row.auroc.value) else 0)
        ]

    @property
    def splits(self) -> list[str]:
        """Those that have one that could be measured, and all together."""
        measured = {row.split for row in self.rows if not isnan(row.auroc.value)}
        return [split for split in (ALL, *SPLITS) if split in measured]

    def get(self, trait: str, split: str) -> GiveAway | None:
        return next((r for r in self.rows if (r.trait, r.split, r.forgery) == (trait, split, ALL)), None)

    def forgeries(self) -> dict[str, list[GiveAway]]:
        """The strongest traits of each."""
        out: dict[str, list[GiveAway]] = {}
        for row in self.rows:
            if row.forgery != ALL and row.is_clear:
                out.setdefault(row.forgery, []).append(row)
        return {name: sorted(rows, key=lambda row: -row.auroc.value)[:STRONGEST] for name, rows in out.items()}

    def findings(self) -> list[Finding]:
        """One for each trait that is clear over all files."""
        clear = [row for row in self.rows if (row.split, row.forgery) == (ALL, ALL) and row.is_clear]
        return [
            Finding("give-away", ".", f"{row.trait} alone tells real from fake: AUROC {describe(row)}")
            for row in sorted(clear, key=lambda row: -row.auroc.value)
        ]

    def show(self, console: Console) -> None:
        if not self.splits:
            if self.most:
                print("what gives the class away without a face: too few files of both classes to tell")
            return
        console.print(f"To be had without a look at a face, AUROC of each trait: {self.about}", soft_wrap=True)
        table = Table("trait", *self.splits)
        for trait in self.traits:
            found = [self.get(trait, split) for split in self.splits]
            table.add_row(escape(trait), *("-" if row is None else colour(row) for row in found))
        console.print(table)
        if self.sentences:
            table = Table("forgery", f"traits whose whole interval is above {LIMIT}, the strongest {STRONGEST}")
            for name, text in self.sentences.items():
                table.add_row(escape(name), escape(text))
            console.print(table)

    def to_json(self) -> dict[str, Any]:
        about = {"most": self.most, "files": self.files, "unreadable": self.unreadable}
        return about | {"rows": [row.to_json() for row in self.rows]}

    @property
    def lines(self) -> list[list[str]]:
        """A trait, and its AUROC in each split."""
        cells = [[self.get(trait, split) for split in self.splits] for trait in self.traits]
        texts = [["-" if one is None else str(one.auroc) for one in row] for row in cells]
        return [[trait, *row] for trait, row in zip(self.traits, texts, strict=True)]

    @property
    def sentences(self) -> dict[str, str]:
        """Of each forgery, its strongest traits."""
        return {
            name: "; ".join(f"{row.trait} {describe(row)}" for row in rows) for name, rows in self.forgeries().items()
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: object) -> TraitReport:
        try:
            rows = [GiveAway.from_json(row) for row in content["rows"]]
            about = {name: int(content[name]) for name in ("most", "files", "unreadable")}
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{where}: give_aways: is not as 'doctor' writes it ({error})") from error
        return cls(rows=rows, **about)


def describe(row: GiveAway) -> str:
    which = {True: ", more of fakes", False: ", less of fakes", None: ""}[row.more]
    return f"{row.auroc}{which}"


def colour(row: GiveAway) -> str:
    text = escape(str(row.auroc))
    return f"[red]{text}[/]" if row.is_clear else text


def look_into(rows: Sequence[Video], root: Path, most: int, workers: int) -> TraitReport:
    """
    Args:
        most: Files of each split.
    """
    if most < 0:
        raise UserError(f"--give_aways {most}: must be a number of files, 0 is without")
    drawn = draw_files(rows, most) if len({row.label for row in rows}) > 1 else []
    files = []
    with bar("looking for give-aways", unit="files") as show:
        for file in measure_files(drawn, root, workers) if drawn else ():
            files.append(file)
            show(len(files), len(drawn))
    unreadable = sum(file.traits is None for file in files)
    files.sort(key=lambda file: file.key)  # they come as they are done, and the resamples go by their order
    found = find_give_aways(files)
    return TraitReport(most=most, files=len(files) - unreadable, unreadable=unreadable, rows=found)


def read_reports(about: Mapping[str, str], where: object) -> dict[str, TraitReport]:
    """Those that a test has kept, by the name of the set.

    Args:
        about: Metadata of a prediction table, whose JSON was checked.
    """
    kept = json.loads(about.get("give_aways", "{}"))
    return {name: TraitReport.from_json(content, where) for name, content in kept.items()}
