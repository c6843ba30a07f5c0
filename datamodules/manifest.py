"""The table every data set is prepared into: one row per video."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from datamodules.atomic import appearing
from datamodules.errors import Refused

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """One row. Paths are relative to the folder of the data set."""

    dataset: str
    method: str  # generator; "real" where label is 0
    compression: str  # release such as c23; empty where there is one
    stem: str
    path: str
    label: int  # 0 real, 1 fake
    split: str
    identities: str  # people or source clips in it, separated by spaces; none may be in two splits
    mask: str = ""  # video of the altered region, empty where there is none
    fps: float = 0.0  # rate, count and hash are known once prepared
    frames: int = 0
    sha256: str = ""  # first 16 hex digits

    @property
    def key(self) -> str:
        """A video is all four, never its stem alone."""
        return "/".join((self.dataset, self.method, self.compression, self.stem))

    @property
    def source(self) -> str:
        """The clip that a fake was made from: real and fake of the same one make a pair."""
        return self.identities.split(" ")[0] if self.identities else self.stem


def check(rows: Sequence[Video], where: Path) -> None:
    """Refuses what would make results wrong: a leak between splits, two rows of one video, an unknown split."""
    home: dict[tuple[str, str], str] = {}
    seen: dict[str, str] = {}
    for row in rows:
        if row.split not in SPLITS:
            raise Refused(f"{where}: {row.path} has split {row.split!r}, not one of {', '.join(SPLITS)}")
        if row.label not in (0, 1) or (row.label == 0) != (row.method == "real"):
            raise Refused(
                f"{where}: {row.path} has label {row.label} and method {row.method!r}; real is 0, a forgery is 1"
            )
        if row.key in seen:
            raise Refused(f"{where}: {row.key} stands for {seen[row.key]} and for {row.path}")
        seen[row.key] = row.path
        for identity in row.identities.split():
            if home.setdefault((row.dataset, identity), row.split) != row.split:
                other = home[row.dataset, identity]
                raise Refused(
                    f"{where}: identity {identity!r} of {row.dataset} is in {other!r} and in {row.split!r} ({row.path})"
                )
        for path in filter(None, (row.path, row.mask)):
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise Refused(f"{where}: path {path!r} leaves the folder of the data set")


def inside(root: Path, path: str) -> Path:
    """The file a row names; a symbolic link must not lead out of the root either."""
    full = (root / path).resolve()
    if not full.is_relative_to(root.resolve()):
        raise Refused(f"{root / path}: leads to {full}, outside {root.resolve()}")
    return full


def write(rows: Iterable[Video], path: Path) -> None:
    with appearing(path) as part, part.open("w", newline="") as f:
        writer = csv.DictWriter(f, [field.name for field in fields(Video)])
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def read(path: Path) -> list[Video]:
    names = [field.name for field in fields(Video)]
    with path.open(newline="") as f:
        reader = csv.DictReader(f)
        if wrong := set(names) ^ set(reader.fieldnames or []):
            raise Refused(
                f"{path}: its columns must be {', '.join(names)}; too many or missing: {', '.join(sorted(wrong))}"
            )
        rows = []
        for line, row in enumerate(reader, 2):
            try:
                numbers: dict[str, Any] = {
                    "label": int(row["label"]),
                    "fps": float(row["fps"]),
                    "frames": int(row["frames"]),
                }
            except ValueError as error:
                raise Refused(f"{path}, line {line}: {error}") from error
            rows.append(Video(**{**row, **numbers}))
    check(rows, path)
    return rows
