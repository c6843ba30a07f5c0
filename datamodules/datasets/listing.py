"""What readers share: folders of videos, lists of the owners, counts."""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from datamodules.issues import report_issue
from datamodules.manifest import SPLITS, Video
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_text

# as owners ship them; what people have of their own is of more kinds
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"}


def one_of(root: Path, *names: str) -> Path:
    """The first of several spellings that is there."""
    for name in names:
        if (root / name).exists():
            return root / name
    raise UserError(f"{root}: holds no folder {' or '.join(repr(name) for name in names)}")


def list_visible(root: Path, folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Files of some kinds in one folder, in order; follows no link out of the data set."""
    if is_link_out(root, folder):
        return []
    return select_visible(root, sorted(folder.iterdir()) if folder.is_dir() else [], suffixes)


def select_visible(root: Path, paths: Iterable[Path], suffixes: Iterable[str]) -> list[Path]:
    """Of the paths in a folder that is inside the data set."""
    found = []
    for path in paths:
        if path.suffix.lower() not in suffixes:
            continue
        if path.name.startswith("."):
            report_issue(
                "unexpected", resolve_inside(root, path), "hidden: another system or a broken download left it"
            )
        elif not (path.is_symlink() and is_link_out(root, path)):
            found.append(path)
    return found


def is_link_out(root: Path, path: Path) -> bool:
    out = not path.resolve().is_relative_to(root.resolve())
    if out:
        report_issue(
            "link",
            resolve_inside(root, path),
            f"a symbolic link to {path.resolve()}, outside the data set: not followed",
        )
    return out


def videos_in(root: Path, folder: Path) -> list[Path]:
    """Videos of a folder, or of the folder ``videos`` in it."""
    return list_visible(root, folder / "videos" if (folder / "videos").is_dir() else folder, VIDEOS)


def walk(root: Path, folder: Path, kinds: Iterable[str] = VIDEOS) -> Iterator[Path]:
    """Files of some kinds in a folder and in all below it."""
    yield from list_visible(root, folder, kinds)
    if not folder.resolve().is_relative_to(root.resolve()):
        return
    for place, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for link in (path for name in inner if (path := Path(place, name)).is_symlink()):
            yield from list_visible(root, link, kinds)  # a folder that os.walk does not enter
        if place != str(folder):
            yield from select_visible(root, [Path(place, name) for name in sorted(files)], kinds)


def unnest(folder: Path, *names: str) -> Path:
    """Where archives that were unpacked into a folder of their own name have put things."""
    while inner := next((folder / name for name in names if (folder / name).is_dir()), None):
        folder = inner
    return folder


def resolve_inside(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def word(text: str) -> str:
    """As one identity: those of a video are separated by spaces."""
    return re.sub(r"\s", "_", text)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of the lines that say something; blank ones are noted."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            yield number, line.strip()
        else:
            report_issue("unexpected", path.name, f"line {number} is blank: passed over")


def read_json(path: Path) -> Any:
    if not path.exists():
        raise UserError(f"{path}: missing; it is part of the data set")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error})") from error


def read_entries(path: Path) -> dict[str, Any]:
    """A JSON object of JSON objects."""
    entries = read_json(path)
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise UserError(f"{path}: must be an object of objects, name to what is known")
    return entries


def read_csv(path: Path, unnamed: str = "") -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row); as spreadsheets save it, too.

    Args:
        unnamed: Name for the column without one, which is left out if this is empty.
    """
    if not path.exists():
        raise UserError(f"{path}: missing; it is part of the data set")
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            for number, row in enumerate(csv.DictReader(f), 2):
                named = ((name or unnamed, value) for name, value in row.items() if name is not None)
                yield number, {name.strip(): (value or "").strip() for name, value in named if name}
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: must be in UTF-8 ({error})") from error
    except csv.Error as error:
        raise UserError(f"{path}: must be a table of comma-separated values ({error})") from error


def is_split(split: object, where: str, path: object) -> bool:
    """Whether a list's word for a split is one of ours; others are noted, never guessed."""
    if split in SPLITS:
        return True
    report_issue("list", path, f"{where} puts it in {split!r}, which is not one of {', '.join(SPLITS)}: left out")
    return False


def check_count(rows: Iterable[Video], owners: Mapping[str, int], where: str = ".") -> Iterator[Video]:
    """Passes rows on and notes at the end where there are more or fewer than the owners say.

    Args:
        owners: Number of videos for a method, for "fake", or for either after a split as in "test real".
        where: The folder or release that they count.
    """

    def name_kinds(row: Video) -> set[str]:
        kinds = {row.method, "fake" if row.label else "real"}
        return kinds | {f"{row.split} {kind}" for kind in kinds}

    return check_groups(rows, owners, name_kinds, where)


def check_groups(
    rows: Iterable[Video], owners: Mapping[str, int], groups_of: Callable[[Video], Iterable[str]], where: str = "."
) -> Iterator[Video]:
    """The same of any groups of videos.

    Args:
        groups_of: Names of the groups that a video belongs to.
    """
    have: Counter[str] = Counter()
    for row in rows:
        have.update(groups_of(row))
        yield row
    for name, number in owners.items():
        if have[name] != number:
            text = f"{have[name]} {name} videos here, {number} by the owners' count"
            report_issue("count", where, text, abs(number - have[name]))
