"""FakeAVCeleb v1.2: celebrities whose images, sound or both are forged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, check_groups, one_of, read_csv, resolve_inside, unnest, walk
from datamodules.issues import report_issue
from datamodules.manifest import Video

TABLE = "meta_data.csv"
TYPES = {
    "RealVideo-RealAudio": "",
    "RealVideo-FakeAudio": "audio",
    "FakeVideo-RealAudio": "video",
    "FakeVideo-FakeAudio": "both",
}
COUNTS = {
    "RealVideo-RealAudio": 500,
    "RealVideo-FakeAudio": 500,
    "FakeVideo-RealAudio": 9_709,
    "FakeVideo-FakeAudio": 10_835,
}
PERSON = re.compile(r"(?:^|_)(id\d{5})(?=_|$)")


def index(root: Path) -> Iterator[Video]:
    """Types are folders, ``TYPE/RACE/GENDER/PERSON/CLIP.mp4``; the table names the method; all is for testing."""
    home = unnest(root, "FakeAVCeleb_v1.2", "FakeAVCeleb")
    one_of(home, *TYPES)
    yield from check_groups(list_videos(root, home), COUNTS, lambda row: [row.stem.partition("/")[0]])


def list_videos(root: Path, home: Path) -> Iterator[Video]:
    methods = read_methods(home)
    for kind, modality in TYPES.items():
        for path in walk(root, home / kind, VIDEOS):
            place = path.relative_to(home).as_posix()
            method = methods.pop(place, None)
            if method is None:
                text = f"has no row in {TABLE}: its method is not known, its label is that of its folder"
                report_issue("unexpected", resolve_inside(root, path), text)
            label = int(modality in ("video", "both"))
            yield Video(
                dataset="fakeavceleb",
                method=(method or "unlisted") if label else "real",
                stem=place.rpartition(".")[0],  # a name recurs in other types
                path=resolve_inside(root, path),
                label=label,
                split="test",
                identities=" ".join(dict.fromkeys([path.parent.name, *PERSON.findall(path.stem)])),
                modality=modality,
            )
    for place in methods:
        report_issue("missing", place, f"in {TABLE}, but not here")


def read_methods(home: Path) -> dict[str, str]:
    """TYPE/RACE/GENDER/PERSON/CLIP.mp4 to its method; of two rows of one clip the method that includes the other."""
    methods: dict[str, str] = {}
    for number, row in read_csv(home / TABLE, unnamed="folder"):
        folder = row.get("folder") or row.get("Unnamed: 9", "")
        place = f"{folder.partition('/')[2]}/{row.get('path', '')}"
        if place.partition("/")[0] not in TYPES or not row.get("path"):
            report_issue("list", TABLE, f"line {number} has no folder of one of {', '.join(TYPES)}: passed over")
            continue
        method = row.get("method", "")
        if place in methods:
            text = f"has two rows in {TABLE}, {methods[place]!r} and {method!r}: one method after the other"
            report_issue("unexpected", place, text)
            method = max(methods[place], method, key=len)
        methods[place] = method
    return methods
