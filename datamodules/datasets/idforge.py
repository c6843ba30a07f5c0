"""IDForge v1: speakers whose face, lips, voice or words are forged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, read_lines, resolve_inside, unnest, walk, word
from datamodules.datasets.splits import drop_shared
from datamodules.issues import report_issue
from datamodules.manifest import SPLITS, Video
from datamodules.runtime.errors import UserError

# by their whole names: one begins as another does
TYPES = {
    "pristine": "",
    "rvc_textmismatch": "audio",
    "tts_textgen": "audio",
    "tts_textmismatch": "audio",
    "face_audiomismatch_textmismatch": "video",
    "lip_audiomismatch_textmismatch": "video",
    "face_rvc_textmismatch": "both",
    "face_tts": "both",
    "face_tts_textgen": "both",
    "lip_rvc_textmismatch": "both",
    "lip_tts_textgen": "both",
}


def index(root: Path) -> Iterator[Video]:
    """``TYPE/PERSON/SESSION/CLIP.mp4``, in the splits of the owners' lists; without lists all is for testing."""
    home = unnest(root, "main")
    if not any((home / kind).is_dir() for kind in TYPES):
        raise UserError(f"{root}: holds no folder of a type, such as 'pristine', nor 'main' with one")
    listed = read_lists(root)
    yield from drop_shared(list_videos(root, home, listed), "people")
    for place, split in listed.items():
        report_issue("missing", place, f"in {split}.csv, but not here")


def read_lists(root: Path) -> dict[str, str]:
    """Each path to its split; the lists have one path a line, and no commas."""
    listed: dict[str, str] = {}
    for split in SPLITS:
        path = next(
            (path for path in (root / f"{split}.csv", root / "IDForge_v1" / f"{split}.csv") if path.is_file()), None
        )
        for number, line in read_lines(path) if path else ():
            if line.partition("/")[0] not in TYPES:
                report_issue("list", f"{split}.csv", f"line {number} is {line!r}, in no folder of a type: passed over")
            elif listed.setdefault(line, split) != split:
                report_issue("leak", line, f"is in {listed[line]}.csv and in {split}.csv: the first is believed")
    return listed


def list_videos(root: Path, home: Path, listed: dict[str, str]) -> Iterator[Video]:
    """What is listed is taken out of the lists."""
    has_lists = bool(listed)
    for kind, modality in TYPES.items():
        unlisted = []
        for path in walk(root, home / kind, VIDEOS) if (home / kind).is_dir() else ():
            place = path.relative_to(home).as_posix()
            split = listed.pop(place, "") if has_lists else "test"
            if not split:
                unlisted.append(place)
                continue
            label = int(modality in ("video", "both"))
            person = place.split("/")[1]
            yield Video(
                dataset="idforge",
                method=kind if label else "real",
                stem=place.removesuffix(".mp4"),  # a name recurs in other types
                path=resolve_inside(root, path),
                label=label,
                split=split,
                identities=f"{person}_{word(source_of(path.name))} {word(person)}",
                modality=modality,
            )
        if unlisted:
            text = f"{len(unlisted)} videos in none of the owners' lists, such as {unlisted[0]}: left out"
            report_issue("unexpected", kind, text, len(unlisted))


def source_of(name: str) -> str:
    """Stem of the pristine clip that a name comes from: clip-1.mp3.mp4 and clip-1_fake.mp4 of clip-1."""
    return name.removesuffix(".mp4").removesuffix(".mp3").removesuffix("_fake")
