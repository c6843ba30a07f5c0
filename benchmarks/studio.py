"""How long a studio takes, whether its faces are found, whether file sizes give the class away; a contact sheet."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
from jsonargparse import auto_cli
from sklearn.metrics import roc_auc_score

from benchmarks.record import RESULTS, record
from datamodules.datasets.ffpp import index
from datamodules.manifest import Video
from datamodules.studio.build import Plan, Size, build
from datamodules.video import Decord

TILE = 240


def found_in(root: Path, rows: list[Video], every: int) -> dict[str, Any]:
    """Share of frames in which dlib's HOG, without up-sampling, finds exactly one face."""
    detector = dlib.get_frontal_face_detector()
    seen: dict[str, list[bool]] = {}
    for row in rows:
        for number, _, frame in Decord().stream(root / row.path):
            if number % every == 0:
                grey = cv2.cvtColor(frame.numpy(), cv2.COLOR_RGB2GRAY)
                seen.setdefault(f"{row.method} {row.compression}", []).append(len(detector(grey, 0)) == 1)
    rates = {name: round(float(np.mean(hits)), 4) for name, hits in sorted(seen.items())}
    frames = sum(map(len, seen.values()))
    return {"frames": frames, "found": sum(map(sum, seen.values())) / frames, "by_method": rates}


def sizes(root: Path, rows: list[Video]) -> dict[str, float]:
    """AUROC of the file size alone, per compression and forgery; 0.5 is chance."""
    out = {}
    for compression in ("c23", "c40"):
        bytes_of: dict[str, list[int]] = {}
        for row in rows:
            if row.compression == compression:
                bytes_of.setdefault(row.method, []).append((root / row.path).stat().st_size)
        real = bytes_of.pop("real")
        bytes_of["all"] = [size for many in bytes_of.values() for size in many]
        for method, fake in sorted(bytes_of.items()):
            out[f"{method} {compression}"] = round(
                float(roc_auc_score([0] * len(real) + [1] * len(fake), real + fake)), 3
            )
    return out


def contact_sheet(root: Path, rows: list[Video], path: Path, people: int = 5) -> None:
    """A row of reals and forgeries for each person, and their masks below."""

    def tiles(target: str) -> Iterator[np.ndarray]:
        mine = sorted(
            (r for r in rows if r.stem[:3] == target and r.compression == "c23"), key=lambda r: (r.label, r.method)
        )
        for row in mine:
            picture = Decord().read(root / row.path, [20])[0].numpy()
            mask = Decord().read(root / row.mask, [20])[0].numpy() if row.mask else np.zeros_like(picture)
            both = np.vstack([cv2.resize(p, (TILE, TILE * 3 // 4)) for p in (picture, mask)])
            yield cv2.putText(
                both.copy(), row.method, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA
            )

    targets = sorted({row.stem[:3] for row in rows})[:people]
    sheet = np.vstack([np.hstack(list(tiles(target))) for target in targets])
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def studio(work: Path, size: list[Size] | None = None, workers: int = 2, every: int = 1) -> None:
    """Measure, print and record.

    Args:
        work: Folder that the studios are filmed in.
        size: Which ones; tiny and small without it.
        workers: Processes.
        every: Only each n-th frame is looked at.
    """
    cv2.setNumThreads(1)
    result = {}
    for name in size or ["tiny", "small"]:
        root = work / name
        shutil.rmtree(root, ignore_errors=True)
        start = time.perf_counter()
        for _ in build(root, Plan(size=name, seed=0, difficulty=0.3), workers):
            pass
        seconds = time.perf_counter() - start
        rows = list(index(root))
        result[name] = {
            "seconds": round(seconds, 1),
            "workers": workers,
            "videos": len(rows),
            "megabytes": round(sum(p.stat().st_size for p in root.rglob("*") if p.is_file()) / 1e6),
            "hog": found_in(root, rows, every),
            "file_size_auroc": sizes(root, rows),
        }
        print(name, result[name])
        contact_sheet(root, rows, RESULTS / f"studio_{name}.jpg")
    print(record("studio", result))


if __name__ == "__main__":
    auto_cli(studio, as_positional=False)
