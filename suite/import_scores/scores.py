"""A table of somebody else's scores, line by line."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_text
from suite.cli.suggest import suggest_file

NAMES = ("video", "path")  # of the column that says which video a score is of
WHOLE = ("track", "frame")  # columns that may be absent: one score for a video
Scale = Literal["probability", "logit"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignScore:
    line: int
    name: str
    score: float
    given: float  # before '--scale logit'
    track: int
    frame: int
    map: str = ""  # path


def read_scores(file: Path, scale: Scale) -> list[ForeignScore]:
    if not file.is_file():
        raise UserError(f"{file}: no such file{suggest_file(str(file))}")
    lines = csv.DictReader(read_text(file).splitlines())
    columns = lines.fieldnames or []
    name = next((one for one in NAMES if one in columns), None)
    if name is None or "score" not in columns:
        raise UserError(f"{file}: its columns are {', '.join(columns) or 'none'}; must have video (or path) and score")
    if "map" in columns and "frame" not in columns:
        raise UserError(f"{file}: has the column map without frame; must say which crop a map is of")
    out: dict[tuple[str, int, int], ForeignScore] = {}
    for number, row in enumerate(lines, 2):
        where = f"{file}, line {number}"
        try:
            given = score = float(row["score"])
            track, frame = (int(row.get(column) or 0) for column in WHOLE)
        except (TypeError, ValueError) as error:
            raise UserError(f"{where}: score must be a number, track and frame whole numbers ({error})") from error
        if scale == "logit" and math.isfinite(score):
            score = 1 / (1 + math.exp(-score)) if score > 0 else math.exp(score) / (1 + math.exp(score))
        if not 0 <= score <= 1:
            raise UserError(
                f"{where}: score {row['score']} must be from 0, real, to 1; '--scale logit' takes any number"
            )
        shown = (row.get("map") or "").strip()
        called = row[name].strip()
        one = ForeignScore(line=number, name=called, score=score, given=given, track=track, frame=frame, map=shown)
        if (before := out.setdefault((one.name, track, frame), one)) is not one:
            raise UserError(f"{where}: {one.name}, track {track}, frame {frame} stands in line {before.line} already")
    if not out:
        raise UserError(f"{file}: has no scores")
    return list(out.values())
