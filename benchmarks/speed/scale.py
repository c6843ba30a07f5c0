"""Does a prepared folder of a million videos open in seconds? Made up: one image and one video stand for all."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args
from zlib import crc32

import cv2
import numpy as np
import pyarrow as pa
from jsonargparse import auto_cli
from torch.utils.data import DataLoader

from benchmarks.record import record
from datamodules import manifest
from datamodules.batch import Sample
from datamodules.face_data import FaceData
from datamodules.manifest import Video
from datamodules.media.decoder_family import ON_CPU
from datamodules.media.encode import write_h264
from datamodules.prepared import checksums
from datamodules.prepared.contract import LAYOUT
from datamodules.prepared.face_table import FACES
from datamodules.prepared.tables import BLOCK, CROPS, save, save_tracks
from datamodules.runtime.atomic_files import write_text

Kind = Literal["crops", "pairs", "clips"]
CLIP, MORE = 4, 20  # frames of a clip, and further batches
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
    faces = (table.append_column("score", pa.nulls(len(table), pa.float32())) for table in crops(videos, each))
    save(out / "faces.arrow", FACES, (read_all(table) for table in faces), checksums.replace_recorded)
    save_tracks(out)
    contract = {"decoder": ON_CPU, "detector": "HOG", "landmarks": "made up", "format": "png", "colour": "rgb"}
    numbers = {"layout": LAYOUT, "size": 64, "tracks": 1, "margin": 1.3}
    write_text(out / "contract.json", json.dumps(contract | numbers))
    checksums.settle(out)


def build_video(out: Path, frames: int) -> None:
    out.mkdir()
    write_h264(out / "all.mp4", [np.zeros((64, 64, 3), np.uint8)] * frames, fps=25, crf=23)


def read_all(table: pa.Table) -> pa.Table:
    seen = dict.fromkeys(("x0", "y0", "yaw", "pitch", "roll", "masked"), 0.0) | {
        "x1": 63.0,
        "y1": 63.0,
        "presence": 1.0,
    }
    for name, value in seen.items():
        table = table.append_column(name, pa.array(np.full(len(table), value, np.float32)))
    return table.append_column("found_by", pa.array(["HOG"] * len(table))).select(FACES.names)


def memory(name: str) -> int:
    """MB of this process: VmHWM is its peak, mapped pages included, RssAnon and RssFile are its own and mapped ones."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024  # type: ignore[index]


def first_batch(prepared: Path, kind: Kind) -> dict[str, float]:
    """Seconds from nothing to the first batch, imports not counted, and the memory of the process."""
    before = memory("VmHWM")
    begin = time.perf_counter()
    kinds: dict[Kind, dict[str, Any]] = {
        "crops": {},
        "pairs": {"pairs": True},
        "clips": {"frame_source": "videos", "root": prepared.parent / "videos", "clip": CLIP, "batch_size": 8},
    }
    data = FaceData(prepared=prepared, compression="c23", num_workers=0, seed=0, **kinds[kind])
    train = data.videos("train")
    listed = time.perf_counter()
    loader = data.train_dataloader()
    ready = time.perf_counter()
    if kind == "clips":
        link_videos(data, loader)
    began = time.perf_counter()
    batches = iter(loader)
    batch = next(batches)
    first = time.perf_counter()
    peak = memory("VmHWM")
    for _ in range(MORE):
        next(batches)
    return {
        "train_videos": len(train),
        "samples_per_epoch": len(loader) * len(batch),
        "manifest_read_checked_filtered_s": round(listed - begin, 2),
        "sampler_s": round(ready - listed, 2),
        "first_batch_s": round(first - began, 2),
        "open_to_first_batch_s": round(first - began + ready - begin, 2),
        "then_ms_per_sample": round((time.perf_counter() - first) / MORE / len(batch) * 1000, 2),
        "peak_of_imports_mb": before,
        "peak_at_first_batch_mb": peak,
        "after_20_more_own_mb": memory("RssAnon"),
        "after_20_more_mapped_mb": memory("RssFile"),
    }


def link_videos(data: FaceData, loader: DataLoader[Sample]) -> None:
    """Gives the videos of the first batches, and of those that are fetched with them, their files."""
    assert data.root is not None
    known = data.clips("train").known
    for address in itertools.islice(loader.sampler, (MORE + 2 + data.run) * data.batch_size):
        path = data.root / known.face(address.face).row.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.symlink_to(data.root / "all.mp4")


def main(videos: int = 1_000_000, each: int = 8, prepared: Path | None = None, kind: Kind = "crops") -> None:
    """
    Args:
        videos: Rows of the manifest.
        each: Crops of each, and frames in which its face is known.
        prepared: Only measure this folder, and print.
        kind: Single crops, fakes with the same crop of their source, or clips that are read from videos.
    """
    if prepared is not None:
        print(json.dumps(first_batch(prepared, kind)))
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "prepared"
        begin = time.perf_counter()
        build(out, videos, each)
        build_video(out.parent / "videos", each)
        built = time.perf_counter() - begin
        # a process of its own: that of the making has used more memory
        command = [sys.executable, "-m", "benchmarks.speed.scale", "--prepared", str(out), "--kind"]
        runs: dict[Kind, list[dict[str, float]]] = {
            kind: [
                json.loads(subprocess.run([*command, kind], check=True, stdout=subprocess.PIPE).stdout)
                for _ in range(3)
            ]
            for kind in get_args(Kind)
        }
        bytes_of = {path.name: path.stat().st_size for path in sorted(out.glob("*.*"))}
    record(
        "scale", {"videos": videos, "crops": videos * each, "made_in_s": round(built), "bytes": bytes_of, "runs": runs}
    )


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
