"""Does a prepared folder of a million videos open in seconds? Made up: one image stands for all crops."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
import pyarrow as pa
from jsonargparse import auto_cli

from benchmarks.record import record
from datamodules import manifest
from datamodules.face_data import FaceData
from datamodules.manifest import Video
from datamodules.prepared import checksums
from datamodules.prepared.contract import LAYOUT
from datamodules.prepared.face_table import FACES
from datamodules.prepared.tables import BLOCK, CROPS, save, save_tracks
from datamodules.runtime.atomic_files import write_text

PNG = cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
METHODS = ("real", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


def rows(videos: int) -> Iterator[Video]:
    """One real video and four fakes of each person."""
    for i in range(videos):
        person, method = divmod(i, len(METHODS))
        stem = f"{person:06d}" if method == 0 else f"{person:06d}_{person + 1:06d}"
        yield Video(
            dataset="made_up",
            method=METHODS[method],
            compression="c23",
            stem=stem,
            path=f"{METHODS[method]}/c23/videos/{stem}.mp4",
            label=int(method > 0),
            split=("train", "train", "train", "train", "train", "train", "train", "val", "test", "test")[person % 10],
            identities=f"{person:06d}",
            frames=300,
            fps=25.0,
            sha256="0" * 16,
        )


def crops(videos: int, each: int) -> Iterator[pa.Table]:
    per_block = BLOCK // each
    keys = [row.key for row in rows(videos)]
    for start in range(0, videos, per_block):
        some = keys[start : start + per_block]
        n = len(some) * each
        columns = {
            "video": np.repeat(some, each),
            "track": np.zeros(n, np.int32),
            "frame": np.tile(np.arange(each, dtype=np.int32), len(some)),
            "time": np.zeros(n),
            **{name: np.full(n, value, np.int32) for name, value in (("x", 0), ("y", 0), ("side", 64), ("angle", 0))},
            "landmarks": pa.FixedSizeListArray.from_arrays(pa.array(np.full(n * 136, 32, np.float32)), 136),
            "image": np.repeat("shards/crops-000000.tar", n),
            "image_offset": np.zeros(n, np.int64),
            "image_length": np.full(n, len(PNG)),
            "image_crc": np.full(n, crc32(PNG)),
            "mask": np.repeat("", n),
            "mask_offset": np.zeros(n, np.int64),
            "mask_length": np.zeros(n, np.int64),
            "mask_crc": np.zeros(n, np.int64),
        }
        yield pa.table(columns).select(CROPS.names)


def build(out: Path, videos: int, each: int) -> None:
    (out / "shards").mkdir(parents=True)
    (out / "shards/crops-000000.tar").write_bytes(PNG)
    manifest.write(rows(videos), out / "manifest.csv", checksums.replace_recorded)
    save(out / "crops.arrow", CROPS, crops(videos, each), checksums.replace_recorded)
    faces = (table.append_column("score", pa.nulls(len(table), pa.float32())) for table in crops(videos, 1))
    save(out / "faces.arrow", FACES, (read_all(table) for table in faces), checksums.replace_recorded)
    save_tracks(out)
    write_text(out / "contract.json", json.dumps({"layout": LAYOUT, "size": 64, "tracks": 1, "margin": 1.3}))
    checksums.settle(out)


def read_all(table: pa.Table) -> pa.Table:
    for name in ("x0", "y0", "x1", "y1", "presence", "yaw", "pitch", "roll", "masked"):
        table = table.append_column(name, pa.array(np.zeros(len(table), np.float32)))
    return table.append_column("found_by", pa.array(["HOG"] * len(table))).select(FACES.names)


def memory(name: str) -> int:
    """MB of this process: VmHWM is its peak, mapped pages included, RssAnon and RssFile are its own and mapped ones."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024  # type: ignore[index]


def first_batch(prepared: Path) -> dict[str, float]:
    """Seconds from nothing to the first batch, imports not counted, and the memory of the process."""
    before = memory("VmHWM")
    begin = time.perf_counter()
    data = FaceData(prepared=prepared, compression="c23", num_workers=0, seed=0)
    train = data.videos("train")
    listed = time.perf_counter()
    loader = data.train_dataloader()
    ready = time.perf_counter()
    batches = iter(loader)
    batch = next(batches)
    first = time.perf_counter()
    peak = memory("VmHWM")
    for _ in range(20):
        next(batches)
    return {
        "train_videos": len(train),
        "samples_per_epoch": len(loader) * len(batch),
        "manifest_read_checked_filtered_s": round(listed - begin, 2),
        "sampler_s": round(ready - listed, 2),
        "first_batch_s": round(first - ready, 2),
        "open_to_first_batch_s": round(first - begin, 2),
        "then_ms_per_sample": round((time.perf_counter() - first) / 20 / len(batch) * 1000, 2),
        "peak_of_imports_mb": before,
        "peak_at_first_batch_mb": peak,
        "after_20_more_own_mb": memory("RssAnon"),
        "after_20_more_mapped_mb": memory("RssFile"),
    }


def main(videos: int = 1_000_000, each: int = 8, prepared: Path | None = None) -> None:
    """
    Args:
        videos: Rows of the manifest.
        each: Crops of each.
        prepared: Only measure this folder, and print.
    """
    if prepared is not None:
        print(json.dumps(first_batch(prepared)))
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "prepared"
        begin = time.perf_counter()
        build(out, videos, each)
        built = time.perf_counter() - begin
        # a process of its own: that of the making has used more memory
        command = [sys.executable, "-m", "benchmarks.speed.scale", "--prepared", str(out)]
        runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)]
        bytes_of = {path.name: path.stat().st_size for path in sorted(out.glob("*.*"))}
    record(
        "scale", {"videos": videos, "crops": videos * each, "made_in_s": round(built), "bytes": bytes_of, "runs": runs}
    )


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
