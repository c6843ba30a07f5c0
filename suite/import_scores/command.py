"""The verb that makes a run of somebody else's scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jsonargparse import auto_cli

from callbacks.predictions import FORMAT, SCHEMA
from datamodules import manifest
from datamodules.face_data import FaceData
from datamodules.identities import first_person
from datamodules.manifest import Video
from datamodules.prepared.tables import read_skipped
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from lightning_modules.metrics.functional import MOST_ODDS, Pooled, log_odds
from lightning_modules.metrics.pixel import BINNING
from lightning_modules.own_validation import KEY as OWN_VALIDATION
from lightning_modules.own_validation import NOT_NEEDED
from suite.benchmark.coverage import list_unscored
from suite.cli.parser import Parser
from suite.import_scores.maps import TrueMasks
from suite.import_scores.names import SHOWN, Names, match
from suite.import_scores.scores import ForeignScore, Scale, read_scores
from suite.run_metrics import LEFT_OUT, read_run

Missing = Literal["refuse", "leave_out", "undecided"]
UNDECIDED = 0.5


@dataclass(frozen=True, kw_only=True)
class Imported:
    """
    Args:
        lines: Of the table of predictions, of test videos alone.
        about: What stands beside it.
        others: Scores of videos of other splits.
    """

    lines: list[dict[str, Any]]
    about: dict[str, str]
    others: int


def import_scores(
    scores: Path,
    data: FaceData,
    run: Path,
    scale: Scale = "probability",
    missing: Missing = "refuse",
    score_pooling: Pooled = "score",
) -> None:
    """Make a run of a table of somebody else's scores, which 'report' and 'benchmark' compare with others.

    Args:
        scores: CSV with the columns video (or path) and score, track and frame where a video has several, and perhaps
            map: the path, from the CSV, of a PNG or NPY file of the probability of each pixel of the crop that
            'prepare' cut of that track and frame. Or a folder with predictions.parquet, as this and 'test' make it.
        data: The data set that was scored, for instance configs/data/celeb_df_v2.yaml. Its test videos count.
        run: Folder to fill.
        scale: Of the scores of a CSV; those of forgeries are higher.
        missing: What becomes of test videos without a score: they are refused, left out, or scored 0.5.
        score_pooling: How scores of frames of a CSV are pooled into that of a video.
    """
    rows = list_videos(data)
    wanted = [row for row in rows if row.split == "test"]
    is_run = scores.is_dir()
    found = take_run(scores, data, rows) if is_run else take_table(scores, data, rows, scale, score_pooling)
    if not found.lines:
        raise UserError(f"{scores}: scores none of the {len(wanted)} test videos of {data.root or data.prepared}")
    scored = {line["video"] for line in found.lines}
    lacking = [row for row in wanted if row.key not in scored]
    known = json.loads(found.about.get(LEFT_OUT, "[]"))  # to whoever made the run
    if missing == "refuse" and (unknown := [row for row in lacking if row.key not in known]):
        first = ", ".join(row.path for row in unknown[:SHOWN])
        rules = "'import-scores --missing leave_out' leaves them out, '--missing undecided' scores them 0.5"
        raise UserError(f"{scores}: {len(unknown)} of {len(wanted)} test videos have no score ({first}); {rules}")
    listed = {row.key for row in rows}  # what was prepared, of a data set without root: not what has no face
    unlisted = [key for key in known if key not in listed] if data.root is None else []
    said, lines = f"{len(scored)} of {len(wanted) + len(unlisted)} test videos are scored", found.lines
    if lacking or unlisted:
        said += f", the others {'count as 0.5' if lacking and missing == 'undecided' else 'are left out'}"
    if missing == "undecided":
        lines = lines + [tabulate(row, UNDECIDED, 0, 0) for row in lacking]
    left_out = unlisted if missing == "undecided" else unlisted + [row.key for row in lacking]
    with hold_folder(run, "import-scores"):
        path = run / "predictions.parquet"
        if path.exists():
            raise UserError(f"{path}: is there already; give another --run")
        with write_atomically(path) as part:
            about = found.about | {"scored": said, LEFT_OUT: json.dumps(left_out)}
            pq.write_table(pa.Table.from_pylist(lines, SCHEMA.with_metadata(about)), part, **FORMAT)
    print(f"{path}: {said}{f'; {found.others} scores of other splits are left out' if found.others else ''}")
    print(f"next: python -m suite report {run}")


def list_videos(data: FaceData) -> list[Video]:
    """What lies in root; without it, what was prepared."""
    if data.group.single_set.root is None:
        return manifest.rows(data.group.single_set.released_rows)
    return data.list_dataset()[0]


def take_table(scores: Path, data: FaceData, rows: Sequence[Video], scale: Scale, score_pooling: Pooled) -> Imported:
    matched = match(read_scores(scores, scale), Names(rows), scores)
    tested = [(one, row) for one, row in matched if row.split == "test"]
    about = {"model": f"scores of {scores.name}", "score_pooling": score_pooling}
    about |= {"trained_on": json.dumps([]), OWN_VALIDATION: NOT_NEEDED}
    check_told_apart(tested, scores, score_pooling)
    masks = TrueMasks(data) if any(one.map for one, _ in tested) else None
    lines = []
    for one, row in tested:
        line = tabulate(row, one.score, one.track, one.frame)
        if masks is not None and one.map:
            line |= asdict(masks.count(one, row, f"{scores}, line {one.line}", scores.parent))
        lines.append(line)
    if masks is not None:
        about |= {"pixel_bins": BINNING, "contract": json.dumps(data.seen_pixels())}
    return Imported(lines=lines, about=about, others=len(matched) - len(tested))


def check_told_apart(tested: Sequence[tuple[ForeignScore, Video]], scores: Path, score_pooling: Pooled) -> None:
    """Large logits are one probability in single precision: of real and forged videos a tie that was none."""
    stored = torch.tensor([one.score for one, _ in tested], dtype=torch.float32)  # as a table of predictions has them
    is_logit = score_pooling == "logit"
    where = "single precision" + (f", or log odds further from 0 than {MOST_ODDS:.0f}" if is_logit else "")
    rule = "from -16 to 16" if is_logit else "of which none is above 16"
    alike: dict[float, list[tuple[ForeignScore, Video]]] = {}
    for value, pair in zip((log_odds(stored) if is_logit else stored).tolist(), tested, strict=True):
        alike.setdefault(value, []).append(pair)
    for pairs in alike.values():
        one, other = (choose((known for known, _ in pairs), key=lambda known: known.given) for choose in (min, max))
        if one.given != other.given and len({row.label for _, row in pairs}) > 1:
            raise UserError(
                f"{scores}, lines {one.line} and {other.line}: {one.given:g} and {other.given:g} are the same score in "
                f"{where}, among real and forged videos; give log odds {rule} with '--scale logit' "
                "(dividing all by one number keeps their order)"
            )


def take_run(folder: Path, data: FaceData, rows: Sequence[Video]) -> Imported:
    """A table of predictions as it is, once its videos are known to be of this data set.

    'test' scores what 'prepare' found faces of: its table says nothing of the videos that were skipped.
    """
    run = read_run(folder)
    by_key = {row.key: row for row in rows}
    found = dict.fromkeys(run.table["video"].tolist())
    unknown = [key for key in found if key not in by_key]
    if unknown:
        names = Names(rows)
        first = "; ".join(f"{key!r}{names.suggest(key)}" for key in unknown[:SHOWN])
        raise UserError(f"{folder}: {len(unknown)} of its {len(found)} videos are not in the data set ({first})")
    for key, label in zip(run.table["video"].tolist(), run.table["label"].tolist(), strict=True):
        if label != by_key[key].label:
            raise UserError(f"{folder}: {key}: label {label}, but {by_key[key].label} in the data set; test again")
    lines = pq.read_table(run.path / "predictions.parquet").to_pylist()
    tested = [{"frame_label": line["label"], **line} for line in lines if by_key[line["video"]].split == "test"]
    about = dict(run.about)
    known = list_unscored(run, data.prepared)
    if known is None:  # of a table that does not say of which split they are
        known = [skipped.video for skipped in read_skipped(data.prepared) if skipped.video in by_key]
    about[LEFT_OUT] = json.dumps(known)
    return Imported(lines=tested, about=about, others=len(lines) - len(tested))


def tabulate(row: Video, score: float, track: int, frame: int) -> dict[str, Any]:
    """As PredictionTable does; when a video is forged is left to who scored it."""
    names = {"video": row.key, "dataset": row.dataset, "method": row.method, "compression": row.compression}
    names |= {"person": first_person(row.identities)}
    numbers = {"track": track, "frame": frame, "score": score, "label": row.label, "frame_label": row.label}
    return {**names, "stem": row.stem, **numbers, "has_mask": False, "forged": None, "other": None}


def main(argv: list[str]) -> None:
    auto_cli(
        import_scores, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite import-scores"
    )
