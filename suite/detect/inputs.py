"""The files that detect is given, and the folder that the result of each gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from datamodules.media.image_sequence import IMAGE_SUFFIXES
from datamodules.media.source_files import hash_files
from datamodules.media.video_suffixes import VIDEO_SUFFIXES
from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name
from datamodules.runtime.stored_files import read_json
from suite.detect.analyzer import DOCUMENT
from suite.detect.result import SCHEMA
from suite.detect.table import TABLE, ResultTable, identify

LONGEST_NAME = 200  # bytes
LONGEST_SUFFIX, SUFFIXES = 12, 8  # characters, and kinds, that are printed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """
    Args:
        files: By the name of the folder that the result of each gets.
        skipped: Numbers of files of folders that are not looked at, by suffix.
    """

    files: dict[str, Path]
    skipped: Counter[str]

    def describe_skipped(self) -> str:
        """Empty where all was looked at."""
        if not (total := self.skipped.total()):
            return ""
        kinds = sorted(suffix for suffix, _ in self.skipped.most_common(SUFFIXES))
        more = [f"{len(self.skipped) - SUFFIXES} other kinds"] if len(self.skipped) > SUFFIXES else []
        were = "file was" if total == 1 else "files were"
        return f"{total:,} {were} not looked at: {', '.join(kinds + more)}"


def is_result(path: Path) -> bool:
    """Whether it lies beside a result of before, or is the table of such ones."""
    if path.name == TABLE:
        return True
    result = path.parent / DOCUMENT
    if not result.is_file():
        return False
    with result.open(encoding="utf-8", errors="replace") as file:
        return f'"{SCHEMA}"' in file.read(200)


def list_visible(folder: Path) -> Iterator[Path]:
    """Its files in order, but none that is hidden and no result of before."""
    for path in sorted(folder.rglob("*")):
        if not path.name.startswith(".") and path.is_file() and not is_result(path):
            yield path


def shorten_name(name: str) -> str:
    """Its end, of as many bytes as a file system takes with some to spare."""
    return format_name(name).encode()[-LONGEST_NAME:].decode("utf-8", "ignore")


def shorten_suffix(path: Path) -> str:
    suffix = format_name(path.suffix.lower())
    return suffix[:LONGEST_SUFFIX] + "..." * (len(suffix) > LONGEST_SUFFIX) if suffix else "without a suffix"


def may_take(folder: Path, file: Path, owners: Mapping[str, str]) -> bool:
    """Whether a folder holds no result of another file.

    Args:
        owners: Files that folders are of, by name, as the table has them.
    """
    if folder.name in owners:
        return owners[folder.name] == identify(file)
    if not (folder / DOCUMENT).is_file():
        return True
    try:  # the table is lost, or of before: the same content is the same file
        return bool(read_json(folder / DOCUMENT, dict)["file"]["sha256"] == hash_files([file]))
    except (UserError, OSError, KeyError, TypeError):
        return False


def list_inputs(given: Sequence[Path], out: Path) -> Inputs:
    """Files, and those of folders, each once; but no results of before."""
    owners = ResultTable(out).owners()
    homes = {owner: name for name, owner in owners.items() if Path(name).name == name != ".."}
    found: dict[str, Path] = {}
    seen: set[str] = set()
    skipped: Counter[str] = Counter()
    for path in given:
        if not path.exists():
            raise UserError(f"{path}: no such file")
        inside = [path]
        if path.is_dir():
            visible = list(list_visible(path))
            inside = [file for file in visible if file.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES]
            known = [file for file in visible if not any(p.startswith(".") for p in file.relative_to(path).parts)]
            others = Counter(shorten_suffix(file) for file in set(known).difference(inside))
            skipped += others
            if not inside:
                reason = Inputs(files={}, skipped=others).describe_skipped()
                raise UserError(f"{path}: has no videos and no images" + (f" ({reason})" if reason else ""))
        for file in inside:
            if (identity := identify(file)) in seen:
                continue
            seen.add(identity)
            wanted = shorten_name("_".join(file.relative_to(path).parts) if path.is_dir() else file.name)
            names = (f"{wanted}_{i}" if i else wanted for i in count())
            name = homes.get(identity) or next(n for n in names if n not in found and may_take(out / n, file, owners))
            if (out / name).is_file():
                rule = "is a file, must be free for a folder of results; give another --out"
                raise UserError(f"{format_name(out / name)}: {rule}")
            found[name] = file
    return Inputs(files=found, skipped=skipped)
