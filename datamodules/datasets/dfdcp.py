"""DFDC-Preview: two forgeries of paid actors, listed in one JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from datamodules.datasets.listing import check_count, is_split, read_entries, resolve_inside, word
from datamodules.datasets.splits import separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import Video

TOPS = ("original_videos", "method_A", "method_B")
OWNERS = {"real": 1131, "fake": 4119, "test real": 276, "test fake": 501}


def index(root: Path) -> Iterator[Video]:
    """Lists what dataset.json names."""
    entries = read_entries(root / "dataset.json")
    rows = []
    listed = set()
    for name, entry in entries.items():
        path = PurePosixPath(name.replace("\\", "/"))
        top = path.parts[0]
        spellings = [root / path, root / top / "videos" / path.relative_to(top)]
        file = next((spelling for spelling in spellings if spelling.exists()), None)
        listed.update(spellings)
        if file is None:
            report_issue("missing", name, "in dataset.json, but not here")
        elif top not in TOPS or (top == "original_videos") != (entry.get("label") == "real"):
            report_issue(
                "label", name, f"dataset.json labels it {entry.get('label')!r}, its folder the opposite: left out"
            )
        elif is_split(entry.get("set"), "dataset.json", name):
            rows.append(create_video(root, file, top, entry))
    for top in TOPS:
        for file in sorted((root / top).rglob("*.mp4")):
            if file not in listed:
                report_issue("unexpected", resolve_inside(root, file), "not in dataset.json: left out")
    yield from separate_identities(check_count(rows, OWNERS))


def create_video(root: Path, file: Path, top: str, entry: dict[str, object]) -> Video:
    fake = top != "original_videos"
    # SWAPPED_TARGET_X_NNN was made from TARGET_X_NNN
    clip = file.stem.partition("_")[2] if fake else file.stem
    people = [word(str(entry[name])) for name in ("target_id", "swapped_id") if entry.get(name)]
    return Video(
        dataset="dfdcp",
        method=top if fake else "real",
        stem=file.stem,
        path=resolve_inside(root, file),
        label=int(fake),
        split=str(entry["set"]),
        identities=" ".join([clip, *people]),
    )
