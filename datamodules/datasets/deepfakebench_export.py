"""Prepared faces as DeepfakeBench's processed tree: images, landmarks, masks and the JSON that lists them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from datamodules import manifest
from datamodules.datasets.deepfakebench import DATASETS, LABELS
from datamodules.faces.landmarks.forehead import add_forehead
from datamodules.loading.clips import CropClips
from datamodules.loading.sampling import Address
from datamodules.manifest import Video
from datamodules.media.image import encode
from datamodules.prepared import checksums
from datamodules.prepared import contract as contracts
from datamodules.runtime.atomic_files import write_atomically, write_text
from datamodules.runtime.errors import UserError

WITH_COMPRESSION = ("FaceForensics++", "FaceShifter", "DeepFakeDetection")


def write(prepared: Path, out: Path) -> Iterator[tuple[int, int]]:
    """Yields (done, all) videos; the JSON files come last."""
    contract = contracts.load(prepared)
    videos = manifest.read(checksums.check(prepared, "manifest.csv"))
    clips = CropClips(prepared, videos, int(contract["size"]), tracks=1)
    content: dict[str, dict[str, Any]] = {}
    for i in range(len(clips)):
        row = clips.face_record(i).row
        dataset, label = names(row)
        level = content.setdefault(dataset, {}).setdefault(label, {}).setdefault(row.split, {})
        if dataset in WITH_COMPRESSION:
            level = level.setdefault(row.compression, {})
        home = Path(dataset, row.method, row.compression)
        stem = row.stem.replace("/", "_")
        if stem in level:
            raise UserError(f"{prepared}: {dataset} has {stem!r} in two releases, for which its lists have no place")
        level[stem] = {"label": label, **write_video(clips, i, out, home, stem)}
        yield i + 1, len(clips)
    os.sync()  # no list names a file whose bytes a loss of power would cost
    for dataset, labels in content.items():
        write_text(out / "dataset_json" / f"{dataset}.json", json.dumps({dataset: labels}, indent=1) + "\n")


def names(row: Video) -> tuple[str, str]:
    dataset = DATASETS.get(row.dataset, row.dataset)
    return dataset, LABELS.get((dataset, row.method), f"{dataset}_{'Real' if row.label == 0 else row.method}")


def write_video(clips: CropClips, i: int, out: Path, home: Path, stem: str) -> dict[str, list[str]]:
    """The faces of one video; its loader finds landmarks and masks by replacing the word ``frames`` in a path."""
    listed: dict[str, list[str]] = {"frames": []}
    for number in clips.starts(i).tolist():
        sample = clips[Address(i, (number,))]
        assert sample.landmarks is not None
        points = np.rint(add_forehead(sample.landmarks[0].numpy())).astype(np.int64)
        files = {"frames": encode(sample.frames[0].permute(1, 2, 0).numpy(), "png")}
        if sample.label == 1 and sample.mask is not None:
            files["masks"] = encode(np.repeat(sample.mask[0, 0].numpy()[..., None], 3, 2), "png")
        for kind, image in files.items():
            name = home / kind / stem / f"{number:03d}.png"
            with write_atomically(out / name, is_synced=False) as part:
                part.write_bytes(image)
            listed.setdefault(kind, []).append(name.as_posix())
        file = out / home / "landmarks" / stem / f"{number:03d}.npy"
        with write_atomically(file, is_synced=False) as part, part.open("wb") as f:
            np.save(f, points)
    return listed
