"""The table every data set is prepared into: one row per video."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from datamodules.issues import Finding, collect_issues
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name, is_utf8, limit_name
from datamodules.runtime.stored_files import read_rows, read_text, shorten, show
from datamodules.segments import SEGMENTS, check_segments

SPLITS = ("train", "val", "test")
NOT_UTF8 = "its name, or that of its mask, is not UTF-8, so no table can hold it; rename it"
MEMBER = "::"  # between an archive and what is meant inside it


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """One row. Paths are relative to the folder of the data set."""

    dataset: str
    method: str  # generator; "real" where label is 0
    compression: str = ""  # release such as c23; empty where there is one
    stem: str
    path: str  # a video, an image, a folder of numbered images, or such a folder in ARCHIVE.tar.gz::FOLDER
    label: int  # 0 real, 1 fake
    split: str
    identities: str  # people or source clips in it, separated by spaces; none may be in two splits
    mask: str = ""  # of the altered region, as a video or as images; empty where there is none
    box: str = ""  # x0 y0 x1 y1 of the face where the owners mark it, "all" where images are faces already cut out
    landmarks: str = ""  # folder of .npy files named as the images, where the owners ship them
    fps: float = 0.0  # rate, count and hash are known once prepared; images have no rate
    frames: int = 0
    sha256: str = ""  # first 16 hex digits
    fake_segments: str = ""  # forged parts as start-end in seconds, or as 0f-25f in frames; empty if all is forged
    modality: str = ""  # what is forged: video, audio or both; of a real video it can be audio; empty if not told

    @property
    def key(self) -> str:
        """A video is all four, never its stem alone."""
        return "/".join((self.dataset, self.method, self.compression, self.stem))

    @property
    def folder(self) -> str:
        """Where its crops lie: always three folders down, so that none is inside another's."""
        parts = (self.dataset, self.method, self.compression, self.stem)
        return "/".join(limit_name(part.replace("%", "%25").replace("/", "%2F")) or "-" for part in parts)


NAMES = [field.name for field in fields(Video)]
PATHS = ("path", "mask", "landmarks")
LATER = ("fake_segments", "modality")  # which older tables lack
SCHEMA = pa.schema(
    [
        (name, {"label": pa.int8(), "fps": pa.float64(), "frames": pa.int32()}.get(name, pa.large_string()))
        for name in NAMES
    ]
)


SUSPECT = r"^/|\.\.|::/|[\x00-\x1f]"  # of paths that are looked at closer
NUMBER = r"-?\d+(?:\.\d+)?"
NAME = r"[^/\x00-\x1f]*[^./\x00-\x1f][^/\x00-\x1f]*"
ALLOWED = {
    "dataset": rf"^{NAME}$",
    "method": rf"^{NAME}$",
    "compression": rf"^(?:{NAME})?$",
    "stem": r"^[^\x00-\x1f]*[^.\x00-\x1f][^\x00-\x1f]*$",
    "box": rf"^(?:all|{NUMBER}(?: {NUMBER}){{3}})?$",
    "fake_segments": SEGMENTS,
    "modality": r"^(?:video|audio|both)?$",
}


def table(rows: Iterable[Video]) -> pa.Table:
    return pa.Table.from_pylist([asdict(row) for row in rows], SCHEMA)


def rows(videos: pa.Table) -> list[Video]:
    return [Video(**row) for row in videos.to_pylist()]


def join_columns(*columns: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*columns, pa.scalar("/", pa.large_string()))


def keys(videos: pa.Table) -> pa.Array:
    """``Video.key`` of every row."""
    return join_columns(*(videos[name].combine_chunks() for name in ("dataset", "method", "compression", "stem")))


def sources(videos: pa.Table) -> pa.Array:
    """The clip that each was made from: real and fake of the same one make a pair."""
    first = pc.replace_substring_regex(videos["identities"].combine_chunks(), " .*", "")
    source = pc.if_else(pc.equal(first, ""), videos["stem"].combine_chunks(), first)
    return join_columns(videos["dataset"].combine_chunks(), videos["compression"].combine_chunks(), source)


def faults(videos: pa.Table) -> Iterator[Finding]:
    """Leaks between splits, two rows of one video, an unknown split or label, paths that lead elsewhere."""

    def select(wrong: Any) -> list[Video]:
        return rows(videos.filter(wrong))

    for row in select(pc.invert(pc.is_in(videos["split"], pa.array(SPLITS, pa.large_string())))):
        yield Finding(kind="row", path=row.path, text=f"has split {row.split!r}, not one of {', '.join(SPLITS)}")
    is_consistent = pc.or_(
        pc.and_(pc.equal(videos["label"], 0), pc.equal(videos["method"], "real")),
        pc.and_(pc.equal(videos["label"], 1), pc.not_equal(videos["method"], "real")),
    )
    for row in select(pc.invert(is_consistent)):
        text = f"has label {row.label} and method {row.method!r}; real is 0, a forgery is 1"
        yield Finding(kind="row", path=row.path, text=text)
    for name, pattern in ALLOWED.items():
        for row in select(pc.invert(pc.match_substring_regex(videos[name], pattern))):
            yield Finding(kind="row", path=row.path, text=f"has {name} {getattr(row, name)!r}")
    yield from find_contradictions(videos)
    yield from find_repeated(videos)
    yield from leaks(videos)
    for name in PATHS:
        for row in select(pc.match_substring_regex(videos[name], SUSPECT)):
            path = getattr(row, name)
            if any(map(leads_out, path.split(MEMBER))):
                yield Finding(kind="row", path=row.path, text=f"path {path!r} leaves the folder of the data set")
            elif not path.isprintable():
                yield Finding(kind="row", path=row.path, text=f"has {name} {path!r}, with a control character")


def find_contradictions(videos: pa.Table) -> Iterator[Finding]:
    """What is forged of a video, and when, against its label, which is that of its images."""
    modality, is_partial = videos["modality"], pc.not_equal(videos["fake_segments"], "")
    of_images = pc.is_in(modality, pa.array(["video", "both"], pa.large_string()))
    wrong_fake = pc.and_(pc.equal(videos["label"], 1), pc.equal(modality, "audio"))
    wrong_real = pc.and_(pc.equal(videos["label"], 0), of_images)
    for row in rows(videos.filter(pc.or_(pc.or_(wrong_fake, wrong_real), is_partial))):
        if row.label == 0 or row.modality == "audio":
            text = f"has label {row.label}, modality {row.modality!r} and fake_segments {row.fake_segments!r}"
            text += "; the label is that of the images, and a real video has no segments"
            yield Finding(kind="row", path=row.path, text=text)
        elif not check_segments(row.fake_segments):
            text = f"has fake_segments {row.fake_segments!r}; each must end behind its beginning"
            yield Finding(kind="row", path=row.path, text=text)


def leads_out(path: str) -> bool:
    """Whether it may lie elsewhere than below the folder that it is relative to."""
    return path.startswith("/") or ".." in path.split("/")


def find_repeated(videos: pa.Table) -> Iterator[Finding]:
    key = keys(videos)
    if pc.count_distinct(key).as_py() == len(key):
        return
    path_of: dict[str, str] = {}
    for name, path in zip(key.to_pylist(), videos["path"].to_pylist(), strict=True):
        if name in path_of:
            yield Finding(kind="duplicate", path=path, text=f"{name} stands for {path_of[name]} and for {path}")
        path_of.setdefault(name, path)


def people(videos: pa.Table) -> pa.Table:
    """Each identity, or source clip, of each video: its data set, its split, and the row it is in."""
    names = pc.split_pattern(videos["identities"].combine_chunks(), " ")
    owner = pc.list_parent_indices(names)
    return pa.table(
        {
            "identity": pc.list_flatten(names),
            "dataset": videos["dataset"].combine_chunks().take(owner),
            "split": videos["split"].combine_chunks().take(owner),
            "row": owner,
        }
    ).filter(pc.field("identity") != "")


def leaks(videos: pa.Table) -> Iterator[Finding]:
    """One fault for each identity, or source clip, that is in two splits."""
    memberships = people(videos)
    splits_of_identity = memberships.group_by(["dataset", "identity", "split"]).aggregate([("row", "min")])
    if pc.count_distinct(join_columns(splits_of_identity["dataset"], splits_of_identity["identity"])).as_py() == len(
        splits_of_identity
    ):
        return
    first_split: dict[tuple[str, str], str] = {}
    for row in splits_of_identity.sort_by("row_min").to_pylist():
        split = first_split.setdefault((row["dataset"], row["identity"]), row["split"])
        if split != row["split"]:
            path = videos["path"][row["row_min"]].as_py()
            text = f"identity {row['identity']!r} of {row['dataset']} is in {split!r} and in {row['split']!r}"
            yield Finding(kind="leak", path=path, text=text)


def check(videos: pa.Table | Sequence[Video], source: Path) -> None:
    """Refuses what would make results wrong."""
    for fault in faults(videos if isinstance(videos, pa.Table) else table(videos)):
        raise UserError(f"{source}: {fault.text} ({fault.path})")


class Outside(UserError):
    """A path that leads out of the data set."""


def resolve_inside(root: Path, path: str) -> Path:
    """The file a row names; a symbolic link must not lead out of the root either."""
    file, _, member = path.partition(MEMBER)
    if member and (root / path).exists():  # its name alone looks like that
        file, member = path, ""
    full = (root / file).resolve()
    if not full.is_relative_to(root.resolve()):
        raise Outside(f"{root / file}: leads to {full}, outside {root.resolve()}")
    return Path(f"{full}{MEMBER}{member}") if member else full


def write(
    videos: Iterable[Video], path: Path, appear: Callable[[Path], AbstractContextManager[Path]] = write_atomically
) -> None:
    """
    Args:
        appear: How the file comes to its place.
    """
    with appear(path) as part, part.open("w", newline="") as f:
        writer = csv.DictWriter(f, NAMES)
        writer.writeheader()
        writer.writerows(map(asdict, videos))


def read(path: Path) -> pa.Table:
    """The checked table; a million rows take seconds."""
    header = next(csv.reader(read_text(path, 2**16).splitlines()[:1]), [])
    if wrong := set(NAMES) ^ {*header, *LATER}:
        raise UserError(
            f"{path}: its columns must be {', '.join(NAMES)}; too many or missing: {show(', '.join(sorted(wrong)))}"
        )
    try:
        options = pyarrow.csv.ConvertOptions(
            column_types=SCHEMA,
            include_columns=NAMES,
            null_values=[],
            strings_can_be_null=False,
            include_missing_columns=True,
        )
        videos = pyarrow.csv.read_csv(path, convert_options=options)
        for name in set(LATER) - set(header):
            videos = videos.set_column(NAMES.index(name), name, pc.fill_null(videos[name], ""))
    except pa.ArrowException as error:
        raise UserError(first_wrong(path) or f"{path}: is damaged ({shorten(error)})") from error
    check(videos, path)
    return videos


def first_wrong(path: Path) -> str:
    """Arrow does not say in which line a number is none."""
    for line, row in read_rows(path):
        try:
            np.int8(int(row["label"])), float(row["fps"]), np.int32(int(row["frames"]))
        except (ValueError, TypeError, OverflowError) as error:
            return f"{path}, line {line}: {error}"
    return ""


def list_dataset(
    root: Path, index: Callable[[Path], Iterable[Video]], compression: str | None
) -> tuple[list[Video], list[Finding]]:
    """What lies in the folder of a data set, and the issues found there."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    with collect_issues() as issues:
        listed = list(index(root))
    for row in listed:
        for name in PATHS:
            if not isinstance(value := getattr(row, name), str):
                rule = "must be a str, relative to the folder of the data set"
                raise UserError(
                    f"{index.__module__}.{index.__name__}: {name} {value!r} is a {type(value).__name__}, {rule}"
                )
    unreadable = [row for row in listed if not all(is_utf8(value) for value in (row.path, row.mask, row.stem))]
    issues += [Finding("corrupt", format_name(row.path), NOT_UTF8) for row in unreadable]
    listed = [row for row in listed if row not in unreadable] if unreadable else listed
    rows = [row for row in listed if compression in (None, row.compression)]
    others = {row.compression for row in listed} - {row.compression for row in rows} - {""}
    findings = [one for one in dict.fromkeys(issues) if not others & set(one.path.split("/"))]
    if not rows:
        which = f" with compression {compression!r}" if compression is not None else ""
        raise UserError(f"{root}: no video found{which}")
    return rows, findings
