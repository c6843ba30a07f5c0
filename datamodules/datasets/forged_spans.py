"""What LAV-DF and AV-Deepfake1M share: clips of which spans of images, sound or both are forged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, resolve_inside, walk
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.segments import write_seconds

LISTED = 1000  # absent videos that have a finding of their own


@dataclass(frozen=True, kw_only=True, slots=True)
class SpannedClip:
    """One row of the owners' metadata."""

    path: Path
    split: str  # ours
    modality: str  # video, audio, both, or empty: real
    spans: Sequence[Sequence[float]]  # seconds, of its images
    method: str
    identities: str


def list_clips(
    root: Path, home: Path, dataset: str, clips: Iterable[SpannedClip], folders: Iterable[Path]
) -> Iterator[Video]:
    """Rows of what is here; a note of what is not, and of files without a row.

    Args:
        folders: Where files without a row are looked for.
    """
    known = set()
    missing: list[str] = []
    for clip in clips:
        known.add(clip.path)
        if not clip.path.is_file():
            missing.append(resolve_inside(root, clip.path))
            continue
        path = resolve_inside(root, clip.path)
        label = int(clip.modality in ("video", "both"))
        segments = write_seconds(clip.spans) if label else ""
        if label and not segments:
            report_issue("list", path, "its images are forged, but no segment says when: all of it counts as forged")
        yield Video(
            dataset=dataset,
            method=clip.method if label else "real",
            stem=clip.path.relative_to(home).with_suffix("").as_posix(),  # every folder has a real.mp4
            path=path,
            label=label,
            split=clip.split,
            identities=clip.identities,
            fake_segments=segments,
            modality=clip.modality,
        )
    for path in missing[:LISTED]:
        report_issue("missing", path, "in the metadata, but not here")
    if len(missing) > LISTED:
        text = f"{len(missing) - LISTED} more videos of the metadata are not here"
        report_issue("missing", ".", text, len(missing) - LISTED)
    report_unlisted(root, folders, known)


def report_unlisted(root: Path, folders: Iterable[Path], known: set[Path]) -> None:
    for folder in folders:
        if extra := [path for path in walk(root, folder, VIDEOS) if path not in known]:
            text = f"{len(extra)} videos without a row in the metadata, such as {extra[0].name}: left out"
            report_issue("unexpected", resolve_inside(root, folder), text, len(extra))


def count_modalities(row: Video) -> list[str]:
    """Groups that the owners count."""
    return [f"{row.split} {row.modality or 'real'}", row.modality or "real"]


def report_unlabelled(root: Path, name: str) -> None:
    """Test videos without labels: their number is all that can be said."""
    path = root / name
    if path.is_file():
        count = Counter(bool(line.strip()) for line in path.read_text().splitlines())[True]
        text = f"{count} test videos, whose labels the owners never released: left out"
        report_issue("held out", name, text, count)
