"""Deepfake-Eval-2024: videos and images that people met on social media."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, one_of, read_csv, resolve_inside, walk, word
from datamodules.datasets.splits import separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.media.image_sequence import IMAGE_SUFFIXES
from datamodules.runtime.errors import UserError

LABELS = {"real": 0, "fake": 1}
VIDEO_TABLES = ("video-metadata-publish-with-links.csv", "video-metadata-publish.csv")
IMAGE_TABLES = ("image-metadata-publish-with-links.csv", "image-metadata-publish.csv")


def index_videos(root: Path) -> Iterator[Video]:
    """Lists ``video-data``; a video is what its images are, whatever its sound."""
    table = one_of(root, *VIDEO_TABLES)
    rows = list_files(root, table, root / "video-data", "Video Ground Truth", "deepfake_eval_2024_videos")
    yield from separate_identities(rows)


def index_images(root: Path) -> Iterator[Video]:
    """Lists ``image-data``."""
    table = one_of(root, *IMAGE_TABLES)
    rows = list_files(root, table, root / "image-data", "Ground Truth", "deepfake_eval_2024_images")
    yield from separate_identities(rows)


def list_files(root: Path, table: Path, folder: Path, column: str, dataset: str) -> Iterator[Video]:
    files = {path.name: path for path in walk(root, folder, VIDEOS | IMAGE_SUFFIXES)}
    unknown: Counter[str] = Counter()
    for number, row in read_csv(table):
        if column not in row or "Finetuning Set" not in row:
            raise UserError(f"{table}: must have the columns Filename, {column!r} and 'Finetuning Set'")
        name, split = row.get("Filename", ""), row["Finetuning Set"].lower()
        label = LABELS.get(row[column].lower())
        if not name or name.startswith("#"):
            report_issue("list", table.name, f"line {number} has the name {name!r}, which a spreadsheet has spoilt")
        elif split not in ("train", "test"):
            report_issue(
                "list", name, f"line {number} of {table.name} puts it in {split!r}, not train or test: left out"
            )
        elif label is None:
            unknown[split] += 1
            files.pop(name, None)
        elif (path := files.pop(name, None)) is None:
            report_issue("missing", name, f"in {table.name}, but not here")
        else:
            yield create_video(root, path, label, split, row.get("Audio Ground Truth", "").lower(), dataset)
    for split, count in sorted(unknown.items()):
        text = f"{count} of {split} have {column} 'Unknown' or no word for it: left out"
        report_issue("held out", table.name, text, count)
    for path in files.values():
        report_issue("unexpected", resolve_inside(root, path), f"not in {table.name}: left out")


def create_video(root: Path, path: Path, label: int, split: str, sound: str, dataset: str) -> Video:
    of_fake = {"fake": "both", "real": "video"}.get(sound, "")
    return Video(
        dataset=dataset,
        method="in_the_wild" if label else "real",
        stem=path.stem,
        path=resolve_inside(root, path),
        label=label,
        split=split,
        identities=word(path.stem),
        modality=of_fake if label else "audio" * (sound == "fake"),
    )
