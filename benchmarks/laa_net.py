"""LAA-Net on the reals of the studio, tested on every forgery: the whole, less its parts, and with other forgeries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
import yaml
from jsonargparse import auto_cli

from benchmarks.record import record
from datamodules.errors import Refused
from lightning_modules.intervals import Videos, auroc_interval, resampled, videos
from lightning_modules.laa_net import LAANet

ROOT = Path(__file__).parents[1]
# what ages real and fake alike is left out: six hundred steps from random weights do not get over it
SELF = {"after_jpeg": 0.0, "after_light": 0.0, "after_shift": 0.0, "ratios": [1.0], "change": 0.0}
OTHER = {"smallest": 317, "coarse": 0.0, "window": [0, 0, 317, 317], "change": 0.0}
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "LAA-Net": ("laa_net", {}, SELF),
    "without heat map and consistency": ("laa_net", {"points": 0.0, "consistency": 0.0}, SELF),
    "plain pyramid": ("laa_net", {"gated": False}, SELF),
    "two faces blended (BI)": ("laa_net_bi", {}, OTHER),
}


def trained(name: str, seed: int, data: Path, work: Path, epochs: int) -> Path:
    """Fits and tests in processes of one thread; a run that is complete is kept."""
    config, model, synthesis = VARIANTS[name]
    run = work / f"{list(VARIANTS).index(name)}_{seed}"
    run.mkdir(parents=True, exist_ok=True)
    changes = run / "changes.yaml"
    settings: dict[str, Any] = {
        "model": {"init_args": {**model, "scheduler": {"init_args": {"epochs": epochs}}}},
        "data": {"init_args": {"prepared": str(data), "draws": 8, "num_workers": 0}},
        "trainer": {"max_epochs": epochs, "check_val_every_n_epoch": 2, "enable_progress_bar": False},
        "seed_everything": seed,
        "run": str(run),
    }
    settings["data"]["init_args"]["synthesis"] = {"init_args": synthesis}
    wanted = yaml.safe_dump(settings)
    if changes.exists() and changes.read_text() != wanted:
        raise Refused(f"{run}: holds a run with other settings; give another --work")
    changes.write_text(wanted)
    files = [ROOT / "configs" / f"{config}.yaml", ROOT / "configs/overlays/laa_net_studio.yaml", changes]
    options = [word for file in files for word in ("--config", str(file))]
    last = run / "checkpoints/last.ckpt"
    is_trained = last.exists() and torch.load(last, weights_only=True)["epoch"] + 1 == epochs
    verbs = {"fit": ["--ckpt_path", "last"] if last.exists() else []} if not is_trained else {}
    if not (run / "predictions.parquet").exists():
        verbs["test"] = ["--ckpt_path", str(run / "checkpoints/best.ckpt")]
    for verb, more in verbs.items():
        with (run / f"{verb}.log").open("w") as log:
            command = [sys.executable, "-m", "suite", verb, *options, *more]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=True)
    return run


def tested(run: Path) -> Videos:
    table = pq.read_table(run / "predictions.parquet", columns=["video", "frame", "score", "label", "method"])
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    return videos(columns, columns["method"].astype(str), LAANet.mean_of)


def figures(run: Path) -> dict[str, list[float]]:
    """Video AUROC with its 95 % interval: of each forgery, of the spatial ones together, and of all."""
    v = tested(run)
    methods = sorted(set(v.method[v.label == 1]))
    groups = {name: [name] for name in methods}
    groups |= {"spatial": [name for name in methods if not name.startswith("Temporal")], "all": methods}
    out = {}
    for group, members in groups.items():
        mine = v.of((v.label == 0) | np.isin(v.method, members))
        found = auroc_interval(mine, resampled(mine))
        out[group] = [round(x, 3) for x in (found.value, found.low, found.high)]
    return out


def laa_net(
    data: Path,
    work: Path,
    variants: list[str] = list(VARIANTS),  # noqa: B006
    seeds: int = 3,
    epochs: int = 10,
    jobs: int = 2,
    name: str = "laa_net",
) -> None:
    """Train, test and record.

    Args:
        data: Prepared folder that benchmarks.cast made.
        work: Folder of the runs; an interrupted study goes on where it was.
        variants: Which.
        seeds: Runs of each.
        epochs: Of each run.
        jobs: Runs at the same time.
        name: Of the recorded result.
    """
    tasks = [(variant, seed) for seed in range(seeds) for variant in variants]
    with ThreadPoolExecutor(jobs) as pool:
        runs = list(pool.map(lambda task: trained(task[0], task[1], data.resolve(), work.resolve(), epochs), tasks))
    result: dict[str, Any] = {"epochs": epochs, "videos": {}, "variants": {}}
    for variant in variants:
        each = [figures(run) for task, run in zip(tasks, runs, strict=True) if task[0] == variant]
        spatial = [one["spatial"][0] for one in each]
        spread = round(stdev(spatial), 3) if len(spatial) > 1 else None
        mine = {"spatial_mean": round(mean(spatial), 3), "spatial_deviation": spread, "seeds": each}
        result["variants"][variant] = mine
        print(variant, json.dumps(mine))
    v = tested(runs[0])
    result["videos"] = {method: int((v.method == method).sum()) for method in sorted(set(v.method))}
    print(record(name, result))


if __name__ == "__main__":
    auto_cli(laa_net, as_positional=False)
