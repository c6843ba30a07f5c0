"""A real training of some minutes: self-blended faces of the studio, validated on blends of other people."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from subprocess import run
from typing import Any

CONFIGS = Path(__file__).parents[2] / "configs"


def command(*arguments: object) -> float:
    """Seconds that a verb of the suite takes."""
    start = time.perf_counter()
    run([sys.executable, "-m", "suite", *map(str, arguments)], check=True)
    return round(time.perf_counter() - start, 1)


MARGINS = {"prepared": 1.3, "prepared_m15": 1.5}


def make_studio(folder: Path, size: str, crop: int, workers: int) -> dict[str, float]:
    """Renders videos of people and prepares their faces twice."""
    taken = {"studio": command("studio", "--out", folder, "--size", size, "--difficulty", 0.3, "--workers", workers)}
    for name, margin in MARGINS.items():
        taken[name] = command(
            "prepare", "--config", CONFIGS / "prepare/studio.yaml", "--data.root", folder,
            "--data.prepared", folder / name,
            "--margin", margin, "--size", crop, "--workers", workers,
        )  # fmt: skip
    return taken


def train(
    studio: Path, run_folder: Path, weights: Path | None, minutes: float, workers: int, options: list[str]
) -> dict[str, Any]:
    """
    Args:
        weights: Weights of the trunk; random ones if unset.
        options: More of the command line.
    """
    seconds = command(
        "fit", "--config", CONFIGS / "classifier_sbi.yaml", "--run", run_folder,
        "--data.prepared", studio / "prepared_m15", "--data.root", studio, "--data.compression", "c23",
        "--model.backbone", "tf_efficientnet_lite0", "--model.trunk_weights", weights or "null",
        "--data.num_workers", workers, "--trainer.max_time", f"00:00:{int(minutes):02d}:{round(minutes * 60) % 60:02d}",
        *options,
    )  # fmt: skip
    with (run_folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    curve = [
        {name: round(float(row[name]), 4) for name in ("epoch", "step", "val/video_auroc") if row.get(name)}
        for row in rows
        if row.get("val/video_auroc")
    ]
    speed = [float(row["train/samples_per_s"]) for row in rows if row.get("train/samples_per_s")]
    waiting = [float(row["train/waiting"]) for row in rows if row.get("train/waiting")]
    return {"seconds": seconds, "curve": curve, "samples_per_s": speed, "waiting_for_data": waiting}
