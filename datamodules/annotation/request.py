"""The list of faces whose masks are asked for: a table that a person, or another program, can read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_json, read_rows

WAITING = "waiting.txt"  # in a run that stopped for somebody to draw masks
COLUMNS = ("video", "track", "frame", "score")


class RequestedFace(NamedTuple):
    """One face in one frame."""

    video: str
    track: int
    frame: int

    @property
    def file(self) -> str:
        """A name for an image of it."""
        return f"{self.video.replace('%', '%25').replace('/', '%2F')} {self.track} {self.frame}.png"


@dataclass(frozen=True, kw_only=True)
class Request:
    faces: list[RequestedFace]  # the first choice first
    scores: list[float]
    about: dict[str, Any]  # how they were chosen

    def write(self, run: Path) -> None:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows([*face, repr(score)] for face, score in zip(self.faces, self.scores, strict=True))
        write_text(run / "request.csv", text.getvalue())
        write_text(run / "request.json", json.dumps(self.about, indent=1) + "\n")


def read_request(run: Path) -> Request:
    path = run / "request.csv"
    if not path.is_file():
        raise UserError(f"{path}: no such file; 'fit' writes it when it asks for masks")
    faces, scores = [], []
    for line, row in read_rows(path, COLUMNS):
        try:
            faces.append(RequestedFace(row["video"], int(row["track"]), int(row["frame"])))
            scores.append(float(row["score"]))
        except ValueError as error:
            raise UserError(f"{path}, line {line}: {error}") from error
    about = run / "request.json"
    if not about.is_file():
        raise UserError(f"{about}: no such file; it belongs to {path.name}")
    return Request(faces=faces, scores=scores, about=read_json(about, dict))
