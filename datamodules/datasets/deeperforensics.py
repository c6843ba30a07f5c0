"""DeeperForensics-1.0: its real videos are the targets in FaceForensics++, not the studio recordings beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import counted, inside, one_of, read_lines, videos_in
from datamodules.issues import note
from datamodules.manifest import SPLITS, Video

FAKE = re.compile(r"(\d{3})_([MW]\d{3})")


def index(root: Path) -> Iterator[Video]:
    """
    Args:
        root: The folder that DeeperForensics-1.0 and FaceForensics++ both lie in.
    """
    home = one_of(root, "DeeperForensics-1.0", "DeeperForensics")
    lists = one_of(home, "lists/splits", "splits")
    youtube = one_of(root, "FaceForensics++", "ffpp") / "original_sequences" / "youtube" / "c23"
    listed = {stem: split for split in SPLITS for stem in read_list(lists / f"{split}.txt")}
    yield from counted(real(root, youtube, listed), {"real": 1000}, inside(root, youtube))
    for variant in sorted(path for path in one_of(home, "manipulated_videos").iterdir() if path.is_dir()):
        yield from counted(fake(root, variant, listed), {"fake": 1000}, inside(root, variant))


def read_list(path: Path) -> Iterator[str]:
    for number, line in read_lines(path):
        if FAKE.fullmatch(Path(line).stem):
            yield Path(line).stem
        else:
            note("list", path.name, f"line {number} is {line!r}, not TARGET_ACTOR.mp4: passed over")


def real(root: Path, folder: Path, listed: dict[str, str]) -> Iterator[Video]:
    found = {path.stem: path for path in videos_in(root, folder)}
    for stem, split in listed.items():
        target = stem[:3]
        if target not in found:
            note("missing", inside(root, folder / "videos" / f"{target}.mp4"), f"the original of {stem}")
            continue
        path = found[target]
        yield Video(
            dataset="deeperforensics",
            method="real",
            stem=target,
            path=inside(root, path),
            label=0,
            split=split,
            identities=target,
        )


def fake(root: Path, folder: Path, listed: dict[str, str]) -> Iterator[Video]:
    found = {path.stem: path for path in videos_in(root, folder)}
    for stem, path in found.items():
        if stem not in listed:
            note("unexpected", inside(root, path), "in none of the official lists: left out")
            continue
        yield Video(
            dataset="deeperforensics",
            method=folder.name,
            stem=stem,
            path=inside(root, path),
            label=1,
            split=listed[stem],
            identities=stem.replace("_", " "),
        )
    for stem in sorted(listed.keys() - found.keys()):
        note("missing", inside(root, folder / f"{stem}.mp4"), f"in {listed[stem]}.txt, but not here")
