"""The list of faces whose masks are asked for: a table that a person, or another program, can read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import limit_name
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
        return limit_name(f"{self.video.replace('%', '%25').replace('/', '%2F')} {self.track} {self.frame}") + ".png"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How the faces of a request were chosen, and of how many.

    Args:
        channels: Weights of those that an active choice went by, by their numbers.
        rounds: Faces that were asked for by the end of each round.
    """

    strategy: str
    of_frames: int
    of_fakes: int
    max_per_video: int | None = None  # of an older version, which had another name for it
    channels: dict[str, float]
    rounds: list[int] = field(default_factory=list)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Choice:
        return cls(**{one.name: content[one.name] for one in fields(cls) if one.name in content})


@dataclass(frozen=True, kw_only=True)
class Request:
    faces: list[RequestedFace]  # the first choice first
    scores: list[float]
    choice: Choice

    def write(self, run: Path) -> None:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows([*face, repr(score)] for face, score in zip(self.faces, self.scores, strict=True))
        write_text(run / "request.csv", text.getvalue())
        write_text(run / "request.json", json.dumps(asdict(self.choice), indent=1) + "\n")


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
    try:
        choice = Choice.from_json(read_json(about, dict))
    except (TypeError, ValueError) as error:
        raise UserError(f"{about}: is not as 'fit' writes it ({error}); let it ask again") from error
    return Request(faces=faces, scores=scores, choice=choice)
