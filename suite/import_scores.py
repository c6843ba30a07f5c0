"""The verb that makes a run of somebody else's scores."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from jsonargparse import auto_cli

from callbacks.predictions import FORMAT, SCHEMA
from datamodules.face_data import FaceData
from datamodules.manifest import Video
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from datamodules.runtime.stored_files import read_text
from lightning_modules.metrics.functional import Pooled
from lightning_modules.own_validation import KEY as OWN_VALIDATION
from lightning_modules.own_validation import NOT_NEEDED
from suite.cli.parser import Parser
from suite.cli.suggest import suggest, suggest_file

NAMES = ("video", "path")  # of the column that says which video a score is of
WHOLE = ("track", "frame")  # columns that may be absent: one score for a video
SHOWN = 3  # names in a message
Scale = Literal["probability", "logit"]
Missing = Literal["refuse", "leave_out", "undecided"]
UNDECIDED = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignScore:
    line: int
    name: str
    score: float
    track: int
    frame: int


def read_scores(file: Path, scale: Scale) -> list[ForeignScore]:
    if not file.is_file():
        raise UserError(f"{file}: no such file{suggest_file(str(file))}")
    lines = csv.DictReader(read_text(file).splitlines())
    columns = lines.fieldnames or []
    name = next((one for one in NAMES if one in columns), None)
    if name is None or "score" not in columns:
        raise UserError(f"{file}: its columns are {', '.join(columns) or 'none'}; must have video (or path) and score")
    out: dict[tuple[str, int, int], ForeignScore] = {}
    for number, row in enumerate(lines, 2):
        where = f"{file}, line {number}"
        try:
            score = float(row["score"])
            track, frame = (int(row.get(column) or 0) for column in WHOLE)
        except (TypeError, ValueError) as error:
            raise UserError(f"{where}: score must be a number, track and frame whole numbers ({error})") from error
        if scale == "logit" and math.isfinite(score):
            score = 1 / (1 + math.exp(-score)) if score > 0 else math.exp(score) / (1 + math.exp(score))
        if not 0 <= score <= 1:
            raise UserError(
                f"{where}: score {row['score']} must be from 0, real, to 1; '--scale logit' takes any number"
            )
        one = ForeignScore(line=number, name=row[name].strip(), score=score, track=track, frame=frame)
        if (before := out.setdefault((one.name, track, frame), one)) is not one:
            raise UserError(f"{where}: {one.name}, track {track}, frame {frame} stands in line {before.line} already")
    if not out:
        raise UserError(f"{file}: has no scores")
    return list(out.values())


def split_name(path: str) -> tuple[str, ...]:
    """Parts of a path without the suffix of its file."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if parts:
        stem, dot, suffix = parts[-1].rpartition(".")
        parts[-1] = stem if dot and stem and suffix.isalnum() and not suffix.isdigit() else parts[-1]
    return tuple(parts)


class Names:
    """Finds videos by their key, their path, or as much of its end as tells them apart."""

    def __init__(self, rows: Sequence[Video]) -> None:
        self.by_key = {row.key: row for row in rows}
        self.by_last: dict[str, list[tuple[tuple[str, ...], Video]]] = defaultdict(list)
        for row in rows:
            parts = split_name(row.path)
            self.by_last[parts[-1]].append((parts, row))

    def find(self, name: str) -> list[Video]:
        """One, where the name is right; several that it does not tell apart; none."""
        if name in self.by_key:
            return [self.by_key[name]]
        given = split_name(name)
        known = self.by_last.get(given[-1], []) if given else []
        # either may begin at a folder further up
        found = [
            (parts, row) for parts, row in known if all(a == b for a, b in zip(parts[::-1], given[::-1], strict=False))
        ]
        exact = [row for parts, row in found if parts == given]
        return exact or [row for _, row in found]

    def suggest(self, name: str) -> str:
        given = split_name(name)
        return suggest("/".join(given), ["/".join(parts) for one in self.by_last.values() for parts, _ in one])


def match(scores: Iterable[ForeignScore], names: Names, file: Path) -> list[tuple[ForeignScore, Video]]:
    found: dict[str, list[Video]] = {}
    out, unknown = [], []
    for one in scores:
        if one.name not in found:
            found[one.name] = names.find(one.name)
            if not found[one.name]:
                unknown.append(one)
        rows = found[one.name]
        if len(rows) > 1:
            which = ", ".join(row.path for row in rows[:SHOWN])
            raise UserError(f"{file}, line {one.line}: {one.name!r} may be any of {which}; give more of its path")
        out += [(one, row) for row in rows]
    if unknown:
        first = "; ".join(f"line {one.line}: {one.name!r}{names.suggest(one.name)}" for one in unknown[:SHOWN])
        raise UserError(f"{file}: {len(unknown)} of its {len(found)} videos are not in the data set ({first})")
    return out


def import_scores(
    scores: Path,
    data: FaceData,
    run: Path,
    scale: Scale = "probability",
    missing: Missing = "refuse",
    score_pooling: Pooled = "score",
) -> None:
    """Make a run of a table of somebody else's scores, which 'report' compares with other runs.

    Args:
        scores: CSV with the columns video (or path) and score, and track and frame where a video has several.
        data: The data set that was scored, for instance configs/data/celeb_df_v2.yaml. Its test videos count.
        run: Folder to fill.
        scale: Of the scores; those of forgeries are higher.
        missing: What becomes of test videos without a score: they are refused, left out, or scored 0.5.
        score_pooling: How scores of frames are pooled into that of a video.
    """
    rows = data.list_dataset()[0]
    matched = match(read_scores(scores, scale), Names(rows), scores)
    tested = [(one, row) for one, row in matched if row.split == "test"]
    wanted = [row for row in rows if row.split == "test"]
    if not tested:
        raise UserError(f"{scores}: scores none of the {len(wanted)} test videos of {data.root}")
    scored = {row.key for _, row in tested}
    lacking = [row for row in wanted if row.key not in scored]
    if lacking and missing == "refuse":
        first = ", ".join(row.path for row in lacking[:SHOWN])
        rules = "'--missing leave_out' leaves them out, '--missing undecided' scores them 0.5"
        raise UserError(f"{scores}: {len(lacking)} of {len(wanted)} test videos have no score ({first}); {rules}")
    lines = [tabulate(row, one.score, one.track, one.frame) for one, row in tested]
    said = f"{len(scored)} of {len(wanted)} test videos are scored"
    if lacking:
        said += f", the others {'are left out' if missing == 'leave_out' else 'count as 0.5'}"
        lines += [tabulate(row, UNDECIDED, 0, 0) for row in lacking if missing == "undecided"]
    about = {"model": f"scores of {scores.name}", "scored": said, "score_pooling": score_pooling}
    about |= {"trained_on": json.dumps([]), OWN_VALIDATION: NOT_NEEDED}
    with hold_folder(run, "import-scores"):
        path = run / "predictions.parquet"
        if path.exists():
            raise UserError(f"{path}: is there already; give another --run")
        with write_atomically(path) as part:
            pq.write_table(pa.Table.from_pylist(lines, SCHEMA.with_metadata(about)), part, **FORMAT)
    others = len(matched) - len(tested)
    print(f"{path}: {said}{f'; {others} scores of other splits are left out' if others else ''}")
    print(f"next: python -m suite report {run}")


def tabulate(row: Video, score: float, track: int, frame: int) -> dict[str, Any]:
    """As PredictionTable does; when a video is forged is left to who scored it."""
    names = {"video": row.key, "dataset": row.dataset, "method": row.method, "compression": row.compression}
    numbers = {"track": track, "frame": frame, "score": score, "label": row.label, "frame_label": row.label}
    return {**names, "stem": row.stem, **numbers, "has_mask": False, "forged": None, "other": None}


def main(argv: list[str]) -> None:
    auto_cli(
        import_scores, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite import-scores"
    )
