"""How long a studio takes, whether its faces are found, and whether anything but the forgery gives the class away."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
from jsonargparse import auto_cli
from sklearn.metrics import roc_auc_score

from benchmarks.record import record
from datamodules.datasets.ffpp import index
from datamodules.manifest import Video
from datamodules.media.video import Decord, probe
from datamodules.studio.build import Plan, Size, build

LIMIT = 0.6  # AUROC beyond which a trait gives the class away
EVERY = 6  # frames between those whose pixels are measured


def traits(path: Path) -> dict[str, float]:
    """What can be known of a video without looking for a forgery."""
    found = probe(path)
    frames = np.stack([frame.numpy() for i, _, frame in Decord().stream(path) if i % EVERY == 0])
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    pixels = frames.reshape(-1, 3) / 255
    return {
        "file size": path.stat().st_size,
        "bit rate": path.stat().st_size / found.times[-1],
        "frames": len(found),
        "frame rate": found.fps,
        "pixels": frames.shape[1] * frames.shape[2],
        "sharpness": float(np.mean([cv2.Laplacian(image, cv2.CV_64F).var() for image in grey])),
        "brightness": float(pixels.mean()),
        "contrast": float(pixels.std()),
        "saturation": float((pixels.max(1) - pixels.min(1)).mean()),
        "red over blue": float(pixels[:, 0].mean() - pixels[:, 2].mean()),
        "change": float(np.abs(np.diff(frames.astype(np.float32), axis=0)).mean()),
    }


def give_aways(root: Path, rows: list[Video]) -> dict[str, dict[str, float]]:
    """AUROC of each trait alone, the larger of both directions, per compression and forgery; 0.5 is chance."""
    out = {}
    for compression in ("c23", "c40"):
        of: dict[str, list[dict[str, float]]] = {}
        for row in rows:
            if row.compression == compression:
                of.setdefault(row.method, []).append(traits(root / row.path))
        real = of.pop("real")
        of["all"] = [one for many in of.values() for one in many]
        for method, fake in sorted(of.items()):
            label = [0] * len(real) + [1] * len(fake)
            scores = {name: roc_auc_score(label, [one[name] for one in real + fake]) for name in real[0]}
            out[f"{method} {compression}"] = {name: round(float(max(a, 1 - a)), 3) for name, a in scores.items()}
    return out


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


def show(table: dict[str, dict[str, float]]) -> None:
    names = list(next(iter(table.values())))
    print(f"{'':22}" + "".join(f"{name:>14}" for name in names))
    for row, values in table.items():
        cells = (f"{values[name]:.3f}{'!' if values[name] > LIMIT else ' '}" for name in names)
        print(f"{row:22}" + "".join(f"{cell:>14}" for cell in cells))


def studio(
    work: Path, size: list[Size] | None = None, workers: int = 2, every: int = 4, difficulty: float = 0.1
) -> None:
    """Measure, print and record.

    Args:
        work: Folder that the studios are rendered in.
        size: Sizes of studio; tiny and small if unset.
        workers: Processes.
        every: Only each n-th frame is searched for faces.
        difficulty: How faint the forgeries are, from 0 to 1.
    """
    cv2.setNumThreads(1)
    result: dict[str, Any] = {}
    for name in size or ["tiny", "small"]:
        root = work / name
        shutil.rmtree(root, ignore_errors=True)
        start = time.perf_counter()
        for _ in build(root, Plan(size=name, seed=0, difficulty=difficulty), workers):
            pass
        seconds = time.perf_counter() - start
        rows = list(index(root))
        result[name] = {
            "seconds": round(seconds, 1),
            "workers": workers,
            "videos": len(rows),
            "megabytes": round(sum(p.stat().st_size for p in root.rglob("*") if p.is_file()) / 1e6),
            "hog": found_in(root, rows, every),
            "give_aways": give_aways(root, rows),
        }
        print(f"{name}: {seconds:.1f} s, one face in {result[name]['hog']['found']:.2%} of frames")
        show(result[name]["give_aways"])
    print(record("studio", result))


if __name__ == "__main__":
    auto_cli(studio, as_positional=False)
