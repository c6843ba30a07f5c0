"""The tables of a prepared folder, and how what was done for single videos joins them."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datamodules import manifest
from datamodules.atomic import appearing
from datamodules.crops import join_tars
from datamodules.manifest import Video

SHARD = 256 * 2**20  # bytes from which a tar shard is full
POINTS = pa.list_(pa.float32(), 136)
FACES = pa.schema(
    [("video", pa.string()), ("track", pa.int32()), ("frame", pa.int32()), ("time", pa.float64())]
    + [(name, pa.float32()) for name in ("x0", "y0", "x1", "y1", "score")]
    + [("landmarks", POINTS), ("masked", pa.float32())]  # masked: share of the track's boxes that the mask covers
)
CROPS = pa.schema(
    [("video", pa.string()), ("track", pa.int32()), ("frame", pa.int32()), ("time", pa.float64())]
    + [(name, pa.int32()) for name in ("x", "y", "side")]
    + [("landmarks", POINTS)]  # in pixels of the frame
    + [("image", pa.string()), ("image_offset", pa.int64()), ("image_length", pa.int64())]
    + [("mask", pa.string()), ("mask_offset", pa.int64()), ("mask_length", pa.int64())]  # empty where unknown
)


def part_name(key: str) -> str:
    return blake2b(key.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A video that could not be prepared. It is tried again once its file has changed."""

    video: str
    path: str
    reason: str
    bytes: int


def read_skipped(out: Path) -> list[Skipped]:
    path = out / "skipped.csv"
    if not path.exists():
        return []
    with path.open(newline="") as f:
        return [
            Skipped(video=r["video"], path=r["path"], reason=r["reason"], bytes=int(r["bytes"]))
            for r in csv.DictReader(f)
        ]


def merge(out: Path, order: list[str]) -> None:
    """Moves the parts into the tables. Killed in the middle, it starts over: parts go last, and twice is once."""
    new = sorted(path for path in (out / "parts").iterdir() if not path.name.startswith("."))
    rows = [Video(**json.loads((path / "row.json").read_text())) for path in new]
    place = {key: i for i, key in enumerate(order)}
    # also those of a stopped call for other videos; in the order of the data set, so that the tables come out alike
    both = sorted(zip(rows, new, strict=True), key=lambda pair: (place.get(pair[0].key, len(place)), pair[0].key))
    rows, new = [row for row, _ in both], [path for _, path in both]
    good = [(row, path) for row, path in zip(rows, new, strict=True) if not (path / "skipped.json").exists()]
    fresh = {row.key for row in rows}
    if any((path / "crops.tar").exists() for _, path in good):
        join_shards(out, [path for _, path in good], fresh)
    for table, schema in (("faces", FACES), ("crops", CROPS)):
        replace_rows(out / f"{table}.parquet", schema, [path / f"{table}.parquet" for _, path in good], fresh)
    kept = (
        [r for r in manifest.read(out / "manifest.csv") if r.key not in fresh]
        if (out / "manifest.csv").exists()
        else []
    )
    together = sorted(kept + [row for row, _ in good], key=lambda row: (place.get(row.key, -1), row.key))
    skipped = [s for s in read_skipped(out) if s.video not in fresh]
    skipped += [
        Skipped(**json.loads((path / "skipped.json").read_text())) for path in new if (path / "skipped.json").exists()
    ]
    with appearing(out / "skipped.csv") as temporary, temporary.open("w", newline="") as f:
        writer = csv.DictWriter(f, ["video", "path", "reason", "bytes"])
        writer.writeheader()
        writer.writerows(map(asdict, sorted(skipped, key=lambda s: s.video)))
    manifest.write(together, out / "manifest.csv")
    forget(out)


def forget(out: Path) -> None:
    """Parts vanish in one step: half of one would not merge again."""
    merged = out / ".parts.merged"
    shutil.rmtree(merged, ignore_errors=True)
    if (out / "parts").exists():
        (out / "parts").replace(merged)
    shutil.rmtree(merged, ignore_errors=True)


def join_shards(out: Path, parts: list[Path], fresh: set[str]) -> None:
    """Concatenates the tars of the videos to shards and moves the offsets along."""
    used = set()
    if (out / "crops.parquet").exists():
        table = pq.read_table(out / "crops.parquet", columns=["video", "image"])
        used = {
            shard for video, shard in zip(*(c.to_pylist() for c in table.columns), strict=True) if video not in fresh
        }
    folder = out / "shards"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():  # of a merge that was killed
        if f"shards/{path.name}" not in used:
            path.unlink()
    number = 1 + max((int(Path(shard).stem.rsplit("-", 1)[1]) for shard in used), default=-1)
    group: list[Path] = []
    for i, part in enumerate(parts):
        group.append(part)
        if i + 1 < len(parts) and sum((p / "crops.tar").stat().st_size for p in group) < SHARD:
            continue
        shard = folder / f"crops-{number:06d}.tar"
        shifts = join_tars([p / "crops.tar" for p in group], shard)
        for p, shift in zip(group, shifts, strict=True):
            table = pq.read_table(p / "crops.parquet").to_pylist()
            for row in table:
                for kind in ("image", "mask"):
                    if row[kind]:
                        row[kind] = f"shards/{shard.name}"
                        row[f"{kind}_offset"] += shift
            pq.write_table(pa.Table.from_pylist(table, CROPS), p / "crops.moved.parquet")
        group, number = [], number + 1


def replace_rows(path: Path, schema: pa.Schema, parts: list[Path], fresh: set[str]) -> None:
    """Streams the old rows but those of fresh videos, then the new ones, one row group a video."""
    with appearing(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        if path.exists():
            old = pq.ParquetFile(path)
            for i in range(old.num_row_groups):
                group = old.read_row_group(i)
                if group["video"][0].as_py() not in fresh:
                    writer.write_table(group)
        for part in parts:
            moved = part.with_suffix(".moved.parquet")
            writer.write_table(pq.read_table(moved if moved.exists() else part, schema=schema))
