"""KoDF: Korean actors, forged by six models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, check_count, one_of, resolve_inside, unnest, walk, word
from datamodules.issues import report_issue
from datamodules.manifest import Video

CODES = {"1": "dfl", "2": "dffs", "3": "fsgan", "4": "fo", "5": "audio-driven"}
ACTOR = r"(?:[0-9a-f]{20}|\d{6})"
REAL = re.compile(rf"({ACTOR})_\d+")
FAKE = re.compile(rf"({ACTOR})_({ACTOR})_([1-5])_\d+")
COUNTS = {"real": 62_166, "fake": 175_776}


def index(root: Path) -> Iterator[Video]:
    """Real in ``original_videos``, fake in ``synthesized_videos/METHOD``, at any depth; all is for testing."""
    home = unnest(root, "kodf_release")
    yield from check_count(list_videos(root, home), COUNTS)


def list_videos(root: Path, home: Path) -> Iterator[Video]:
    for label, folder in enumerate(("original_videos", "synthesized_videos")):
        for path in walk(root, one_of(home, folder), VIDEOS):
            place = path.relative_to(home / folder).with_suffix("").as_posix()
            name = (FAKE if label else REAL).fullmatch(path.stem)
            if name is None:
                report_issue(
                    "unexpected", resolve_inside(root, path), "its name tells no actors: it is its own identity"
                )
            method = place.partition("/")[0] if label else "real"
            if label and name and CODES[name[3]] != method:
                text = f"lies in {method}, but its name has code {name[3]}, {CODES[name[3]]}: the name is believed"
                report_issue("unexpected", resolve_inside(root, path), text)
                method = CODES[name[3]]
            yield Video(
                dataset="kodf",
                method=method,
                stem=place,
                path=resolve_inside(root, path),
                label=label,
                split="test",
                identities=" ".join(dict.fromkeys(name.groups()[: 1 + label])) if name else word(path.stem),
            )
