"""The tables of a prepared folder, and how what was done for single videos joins them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datamodules import manifest
from datamodules.manifest import Video
from datamodules.media.damage import Damage, read_damage, write_damage
from datamodules.prepared import checksums
from datamodules.prepared.face_table import FACES, POINTS
from datamodules.prepared.shards import join_tars
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_record, read_records, shorten

SHARD = 256 * 2**20  # bytes from which a tar shard is full
FILES = ("path", "mask", "box", "landmarks", "fake_segments")  # columns that decide what was prepared
BLOCK = 65536  # rows that are written together
IMAGE_COLUMNS = ("", "_offset", "_length", "_crc")  # of an image, in the columns that begin with its kind
PLACE = ("x", "y", "side", "angle")  # of the region that a crop shows
CROPS = pa.schema(
    [("video", pa.string()), ("track", pa.int32()), ("frame", pa.int32()), ("time", pa.float64())]
    + [(name, pa.float32()) for name in PLACE]
    + [("landmarks", POINTS)]  # in pixels of the frame
    # crc: CRC-32 of the bytes; a mask is empty where it is unknown
    + [(f"{kind}{what}", pa.int64() if what else pa.string()) for kind in ("image", "mask") for what in IMAGE_COLUMNS]
)
# where the rows of a face begin in the other two, so that those need not be read; best faces of a video first
TRACKS = pa.schema(
    [("video", pa.large_string()), ("track", pa.int32())]
    + [(name, pa.int64()) for name in ("faces_first", "faces", "crops_first", "crops")]
)
SCHEMAS = {"faces": FACES, "crops": CROPS, "tracks": TRACKS}  # by the name of the file


def load(path: Path) -> pa.Table:
    """Mapped, not read: rows come from disk once they are looked at."""
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: is damaged, or no Arrow file ({shorten(error)})") from error
    for column in SCHEMAS.get(path.name.partition(".")[0], ()):
        at = table.schema.get_field_index(column.name)
        if at < 0 or table.schema.field(at).type != column.type:
            found = "missing" if at < 0 else f"of type {table.schema.field(at).type}"
            raise UserError(f"{path}: column {column.name!r} is {found}, must be of type {column.type}")
    return table


def save(
    path: Path,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    appear: Callable[[Path], AbstractContextManager[Path]] = write_atomically,
) -> None:
    """Rows in large blocks, whatever the size of the tables that they come in.

    Args:
        appear: How the file comes to its place.
    """
    buffer: list[pa.Table] = []
    with appear(path) as part, pa.OSFile(str(part), "wb") as f, pa.ipc.new_file(f, schema) as writer:
        for table in tables:
            buffer.append(table.cast(schema))
            if sum(map(len, buffer)) >= BLOCK:
                writer.write_table(pa.concat_tables(buffer).combine_chunks())
                buffer = []
        if buffer:
            writer.write_table(pa.concat_tables(buffer).combine_chunks())


def load_tracks(out: Path) -> pa.Table:
    checksums.check(out, "tracks.arrow")
    tracks = load(out / "tracks.arrow")
    sizes = {name.encode(): str((out / f"{name}.arrow").stat().st_size).encode() for name in ("faces", "crops")}
    if (tracks.schema.metadata or {}) != sizes:
        what = "faces.arrow and crops.arrow are not those of tracks.arrow"
        raise UserError(f"{out}: 'prepare' was stopped while it wrote the tables ({what}); call it again")
    return tracks


def part_name(key: str) -> str:
    return blake2b(key.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A video that could not be prepared. It is tried again once its file, or what is listed of it, has changed."""

    video: str
    path: str
    reason: str
    bytes: int
    split: str = ""  # unknown in tables of before it was kept, as is the next
    listed: str = ""  # a digest of what was listed of it


NAMES = [field.name for field in fields(Skipped)]


def read_skipped(out: Path) -> list[Skipped]:
    path = out / "skipped.csv"
    return read_records(path, Skipped) if path.exists() else []


def read_manifest(out: Path) -> list[Video]:
    path = out / "manifest.csv"
    if path.exists():
        checksums.check(out, path.name, whole=True)
    return manifest.rows(manifest.read(path)) if path.exists() else []


def list_decisive(row: Video) -> list[str | bool]:
    """What decides what is prepared of it."""
    # segments have crops of their own in training
    return [getattr(row, name) for name in FILES] + [bool(row.fake_segments) and row.split == "train"]


def describe_preparation(row: Video) -> str:
    return part_name(repr(list_decisive(row)))


def merge(out: Path, order: list[str]) -> None:
    """Moves the parts into the tables. Killed in the middle, it starts over: parts go last, and twice is once."""
    checksums.check_all(out)
    new = sorted(path for path in (out / "parts").iterdir() if not path.name.startswith("."))
    rows = [read_record(path / "row.json", Video) for path in new]
    position = {key: i for i, key in enumerate(order)}
    # also those of a stopped call for other videos; in the order of the data set, so that the tables come out alike
    pairs = sorted(
        zip(rows, new, strict=True), key=lambda pair: (position.get(pair[0].key, len(position)), pair[0].key)
    )
    rows, new = [row for row, _ in pairs], [path for _, path in pairs]
    usable = [(row, path) for row, path in zip(rows, new, strict=True) if not (path / "skipped.json").exists()]
    new_keys = {row.key for row in rows}
    if any((path / "crops.tar").exists() for _, path in usable):
        join_shards(out, [path for _, path in usable], new_keys)
    for table, schema in (("faces", FACES), ("crops", CROPS)):
        replace_rows(out / f"{table}.arrow", schema, [path / f"{table}.arrow" for _, path in usable], new_keys)
    save_tracks(out)
    merged = sorted(
        [r for r in read_manifest(out) if r.key not in new_keys] + [row for row, _ in usable],
        key=lambda row: (position.get(row.key, -1), row.key),
    )
    skipped = [s for s in read_skipped(out) if s.video not in new_keys]
    skipped += [read_record(path / "skipped.json", Skipped) for path in new if (path / "skipped.json").exists()]
    with write_atomically(out / "skipped.csv") as temporary, temporary.open("w", newline="") as f:
        writer = csv.DictWriter(f, NAMES)
        writer.writeheader()
        writer.writerows(map(asdict, sorted(skipped, key=lambda s: s.video)))
    damaged = [one for one in read_damage(out) if one.video not in new_keys]
    damaged += [read_record(path, Damage) for path in (part / "damaged.json" for part in new) if path.exists()]
    write_damage(out, damaged)
    manifest.write(merged, out / "manifest.csv", checksums.replace_recorded)
    checksums.settle(out)
    forget(out)


def forget(out: Path) -> None:
    """Parts vanish in one step: half of one would not merge again."""
    merged = out / ".parts.merged"
    shutil.rmtree(merged, ignore_errors=True)
    if (out / "parts").exists():
        (out / "parts").replace(merged)
    shutil.rmtree(merged, ignore_errors=True)


def join_shards(out: Path, parts: list[Path], new_keys: set[str]) -> None:
    """Concatenates the tars of the videos to shards and moves the offsets along."""
    used_shards: set[str] = set()
    if (out / "crops.arrow").exists():
        crops = load(out / "crops.arrow")
        used_shards = set(pc.unique(exclude(crops, pa.array(sorted(new_keys), pa.string()))["image"]).to_pylist())
    folder = out / "shards"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():  # of a merge that was killed
        if f"shards/{path.name}" not in used_shards:
            path.unlink()
    number = 1 + max((int(Path(shard).stem.rsplit("-", 1)[1]) for shard in used_shards), default=-1)
    group: list[Path] = []
    for i, part in enumerate(parts):
        group.append(part)
        if i + 1 < len(parts) and sum((p / "crops.tar").stat().st_size for p in group) < SHARD:
            continue
        shard = folder / f"crops-{number:06d}.tar"
        shifts = join_tars([p / "crops.tar" for p in group], shard)
        for p, shift in zip(group, shifts, strict=True):
            table = load(p / "crops.arrow").to_pylist()
            for row in table:
                for kind in ("image", "mask"):
                    if row[kind]:
                        row[kind] = f"shards/{shard.name}"
                        row[f"{kind}_offset"] += shift
            save(p / "crops.moved.arrow", CROPS, [pa.Table.from_pylist(table, CROPS)])
        group, number = [], number + 1


def exclude(table: pa.Table, videos: pa.Array) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["video"], videos)))


def replace_rows(path: Path, schema: pa.Schema, parts: list[Path], new_keys: set[str]) -> None:
    """Streams the old rows but those of fresh videos, then the new ones."""

    replaced = pa.array(sorted(new_keys), pa.string())

    def tables() -> Iterable[pa.Table]:
        if path.exists():
            before = load(path)
            for batch in before.to_batches():
                yield exclude(pa.Table.from_batches([batch]), replaced)
        for part in parts:
            moved = part.with_suffix(".moved.arrow")
            yield load(moved if moved.exists() else part)

    save(path, schema, tables(), checksums.replace_recorded)


def runs(table: pa.Table) -> pa.Table:
    """Where the rows of each (video, track) begin, and how many there are."""
    starts: list[NDArray[np.int64]] = []
    offset, last_key = 0, None
    for batch in table.select(["video", "track"]).to_batches():
        video = batch["video"].dictionary_encode().indices.to_numpy()
        track = batch["track"].to_numpy()
        changes_at = np.flatnonzero((np.diff(video) != 0) | (np.diff(track) != 0)) + 1
        first = (batch["video"][0].as_py(), int(track[0])) if len(track) else last_key
        starts.append(offset + (changes_at if first == last_key else np.concatenate([[0], changes_at])))
        offset, last_key = offset + len(track), (batch["video"][-1].as_py(), int(track[-1])) if len(track) else last_key
    begin = np.concatenate([*starts, np.empty(0, np.int64)]).astype(np.int64)
    columns: dict[str, Any] = {"video": table["video"].take(begin), "track": table["track"].take(begin)}
    return pa.table(columns | {"first": begin, "count": np.diff(begin, append=offset)})


def save_tracks(out: Path) -> None:
    paths = {name: out / f"{name}.arrow" for name in ("faces", "crops")}
    faces, crops = (runs(load(path)) for path in paths.values())
    joined = faces.join(crops, ["video", "track"], right_suffix="_crops").sort_by("first")
    joined = joined.rename_columns(["video", "track", "faces_first", "faces", "crops_first", "crops"])
    filled = {name: pc.fill_null(joined[name], 0) for name in ("crops_first", "crops")}
    table = pa.table({name: filled.get(name, joined[name]) for name in TRACKS.names})
    # the sizes tell tables that belong together from those of a call that was killed in between
    sizes = {name: str(path.stat().st_size) for name, path in paths.items()}
    save(out / "tracks.arrow", TRACKS.with_metadata(sizes), [table], checksums.replace_recorded)
