"""Celeb-DF, versions 1 and 2."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from datamodules.datasets.listing import check_count, one_of, read_lines, resolve_inside, videos_in
from datamodules.datasets.splits import separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError

LIST = "List_of_testing_videos.txt"
REAL = re.compile(r"(id\d+)_\d+")
FAKE = re.compile(r"(id\d+)_(id\d+)_(\d+)")


def index_v1(root: Path) -> Iterator[Video]:
    """Lists a copy of Celeb-DF-v1."""
    return index(root, "celeb_df_v1", {"real": 158 + 250, "fake": 795})


def index_v2(root: Path) -> Iterator[Video]:
    """Lists a copy of Celeb-DF-v2."""
    return index(root, "celeb_df_v2", {"real": 590 + 300, "fake": 5639, "test real": 178, "test fake": 340})


def index(root: Path, dataset: str, owners: dict[str, int]) -> Iterator[Video]:
    folders = {one_of(root, "Celeb-real"): "real", one_of(root, "YouTube-real", "Youtube-real"): "real"}
    folders |= {one_of(root, "Celeb-synthesis"): "Celeb-synthesis"}
    return videos(root, dataset, folders, owners, identities)


def videos(
    root: Path, dataset: str, folders: dict[Path, str], owners: dict[str, int], who: Callable[[str, str], str]
) -> Iterator[Video]:
    """The test list is official; of the rest, who is not in it is for training.

    Args:
        folders: To the method of what is in each.
        who: Identities of a name, by the kind of folder that it lies in; empty where it is none.
    """
    tested = test_list(root)
    rows = []
    for folder, method in folders.items():
        label = int(method != "real")
        for path in videos_in(root, folder):
            people = who(path.stem, "Celeb-synthesis" if label else folder.name)
            if not people:
                report_issue("unexpected", resolve_inside(root, path), f"no name of a video in {folder.name}: left out")
                continue
            listed = tested.pop(normalize_name(resolve_inside(root, folder / path.name)), None)
            check_label(listed, label, root, path)
            rows.append(
                Video(
                    dataset=dataset,
                    method=method,
                    stem=path.stem,
                    path=resolve_inside(root, path),
                    label=label,
                    split="train" if listed is None else "test",
                    identities=people,
                )
            )
    not_found(root, tested, rows)
    yield from separate_identities(check_count(rows, owners))


def test_list(root: Path) -> dict[str, int]:
    """Path without ``videos/`` to label; the owners write 1 for real and 0 for fake."""
    path = root / LIST
    if not path.exists():
        raise UserError(f"{path}: missing; without the owners' list nothing says which videos are for testing")
    tested = {}
    for number, line in read_lines(path):
        polarity, _, name = line.replace("\t", " ").replace("\\", "/").partition(" ")
        if polarity not in ("0", "1") or not name.strip():
            report_issue(
                "list", LIST, f"line {number} is {line!r}, not '1 PATH' (real) or '0 PATH' (fake): passed over"
            )
            continue
        tested[normalize_name(name.strip())] = 1 - int(polarity)
    return tested


def normalize_name(name: str) -> str:
    """A path as the list has it, however a copy calls its folders."""
    for other, ours in (("/videos/", "/"), ("Youtube-real", "YouTube-real"), ("/Celeb-DF/", "/Celeb-DF-v2/")):
        name = name.replace(other, ours)
    return name


def check_label(listed: int | None, label: int, root: Path, path: Path) -> None:
    if listed is not None and listed != label:
        says = "fake (0)" if listed else "real (1)"
        report_issue(
            "label", resolve_inside(root, path), f"{LIST} says {says}, its folder the opposite: the folder is believed"
        )


def not_found(root: Path, tested: dict[str, int], rows: list[Video]) -> None:
    if rows and not any(row.split == "test" for row in rows):
        raise UserError(f"{root / LIST}: names no video that is here, so that test videos would train")
    for name in tested:
        report_issue("missing", name, f"in {LIST}, but not here")


def identities(stem: str, folder: str) -> str:
    """The clip that it is, or was made from, then the people."""
    if fake := FAKE.fullmatch(stem):
        return f"{fake[1]}_{fake[3]} {fake[1]} {fake[2]}" if folder == "Celeb-synthesis" else ""
    if real := REAL.fullmatch(stem):
        return f"{stem} {real[1]}" if folder == "Celeb-real" else ""
    return stem if stem.isdigit() and folder.lower() == "youtube-real" else ""
