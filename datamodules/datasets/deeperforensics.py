"""DeeperForensics-1.0: its real videos are the targets in FaceForensics++, not the studio recordings beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import check_count, one_of, read_lines, resolve_inside, videos_in
from datamodules.issues import report_issue
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
    listed = read_lists(lists)
    yield from check_count(list_real(root, youtube, listed), {"real": 1000}, resolve_inside(root, youtube))
    for variant in sorted(path for path in one_of(home, "manipulated_videos").iterdir() if path.is_dir()):
        yield from check_count(list_fake(root, variant, listed), {"fake": 1000}, resolve_inside(root, variant))


def read_lists(folder: Path) -> dict[str, str]:
    """Each name to its split."""
    listed: dict[str, str] = {}
    for split in SPLITS:
        for stem in read_list(folder / f"{split}.txt"):
            if (other := listed.get(stem, split)) != split:
                report_issue("leak", f"{stem}.mp4", f"is in {other}.txt and in {split}.txt: the last is believed")
            listed[stem] = split
    return listed


def read_list(path: Path) -> Iterator[str]:
    for number, line in read_lines(path):
        if FAKE.fullmatch(Path(line).stem):
            yield Path(line).stem
        else:
            report_issue("list", path.name, f"line {number} is {line!r}, not TARGET_ACTOR.mp4: passed over")


def list_real(root: Path, folder: Path, listed: dict[str, str]) -> Iterator[Video]:
    found = {path.stem: path for path in videos_in(root, folder)}
    for stem, split in listed.items():
        target = stem[:3]
        if target not in found:
            report_issue(
                "missing", resolve_inside(root, folder / "videos" / f"{target}.mp4"), f"the original of {stem}"
            )
            continue
        path = found[target]
        yield Video(
            dataset="deeperforensics",
            method="real",
            stem=target,
            path=resolve_inside(root, path),
            label=0,
            split=split,
            identities=target,
        )


def list_fake(root: Path, folder: Path, listed: dict[str, str]) -> Iterator[Video]:
    found = {path.stem: path for path in videos_in(root, folder)}
    for stem, path in found.items():
        if stem not in listed:
            report_issue("unexpected", resolve_inside(root, path), "in none of the official lists: left out")
            continue
        yield Video(
            dataset="deeperforensics",
            method=folder.name,
            stem=stem,
            path=resolve_inside(root, path),
            label=1,
            split=listed[stem],
            identities=stem.replace("_", " "),
        )
    for stem in sorted(listed.keys() - found.keys()):
        report_issue("missing", resolve_inside(root, folder / f"{stem}.mp4"), f"in {listed[stem]}.txt, but not here")
