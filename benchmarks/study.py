"""Trainings and tests of a study, each in processes of one thread; what is complete is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from datamodules.errors import Refused
from lightning_modules.metrics.bootstrap import (
    RESAMPLES,
    Interval,
    Videos,
    auroc_interval,
    check_bins,
    localization,
    resampled,
    videos,
)
from lightning_modules.metrics.functional import Pooled
from lightning_modules.metrics.registry import MapOf, known

ROOT = Path(__file__).parents[1]


def trained(
    run: Path, configs: list[str], settings: dict[str, Any], seed: int, epochs: int, tests: str = "best"
) -> Path:
    """Fits, and tests.

    Args:
        run: Its folder; one with other settings is refused.
        configs: Names below configs, without their ending.
        settings: What is changed of them.
        seed: Of everything.
        epochs: Of training.
        tests: Which checkpoint: the best of validation, or the last.
    """
    if epochs % 2:
        raise Refused(f"epochs {epochs}: must be even, every second one is validated")
    run.mkdir(parents=True, exist_ok=True)
    changes = run / "changes.yaml"
    trainer = {"max_epochs": epochs, "check_val_every_n_epoch": 2, "enable_progress_bar": False}
    trainer |= settings.get("trainer", {})
    wanted = yaml.safe_dump({**settings, "trainer": trainer, "seed_everything": seed, "run": str(run)})
    if changes.exists() and changes.read_text() != wanted:
        raise Refused(f"{run}: holds a run with other settings; give another --work")
    changes.write_text(wanted)
    files = [*(ROOT / "configs" / f"{name}.yaml" for name in configs), changes]
    if not (run / "predictions.parquet").exists():
        last = (run / "checkpoints/last.ckpt").exists()
        suite("fit", run, files, ["--ckpt_path", "last"] if last else [])
        suite("test", run, files, ["--ckpt_path", str(run / f"checkpoints/{tests}.ckpt")])
    return run


def suite(verb: str, run: Path, files: Sequence[Path], options: Sequence[str]) -> None:
    """One command in a process of one thread; what it says is in the run's folder."""
    run.mkdir(parents=True, exist_ok=True)
    given = [word for file in files for word in ("--config", str(file))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
    with (run / f"{verb}.log").open("w") as log:
        command = [sys.executable, "-m", "suite", verb, *given, *options]
        subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=True)


def studied(
    run_of: Callable[[str, int], Path], variants: Sequence[str], seeds: int, jobs: int
) -> dict[str, list[Path]]:
    """The runs of each variant, one for each seed, some at the same time."""
    tasks = [(variant, seed) for seed in range(seeds) for variant in variants]
    found: dict[str, list[Path]] = {variant: [] for variant in variants}
    with ThreadPoolExecutor(jobs) as pool:
        for (variant, _), run in zip(tasks, pool.map(run_of, *zip(*tasks, strict=True)), strict=True):
            found[variant].append(run)
    return found


def read(run: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Columns of the prediction table, and what it says of itself."""
    table = pq.read_table(run / "predictions.parquet")
    about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    check_bins(columns, about, run / "predictions.parquet")
    return columns, about


def tested(run: Path) -> Videos:
    columns, about = read(run)
    return videos(columns, columns["method"].astype(str), cast(Pooled, about["mean_of"]))


def rounded(one: Interval) -> list[float]:
    return [round(x, 3) for x in (one.value, one.low, one.high)]


def grouped(v: Videos, groups: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    methods = sorted(set(map(str, v.method[v.label == 1])))
    return {name: [name] for name in methods} | dict(groups) | {"all": methods}


def figures(run: Path, groups: Mapping[str, Sequence[str]]) -> dict[str, list[float]]:
    """Video AUROC with its 95 % interval: of each forgery, of each group of them together, and of all."""
    v = tested(run)
    out = {}
    for group, members in grouped(v, groups).items():
        mine = v.of((v.label == 0) | np.isin(v.method, members))
        out[group] = rounded(auroc_interval(mine, resampled(mine)))
    return out


def localized(run: Path, groups: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[float]]]:
    """Pixel figures with their 95 % intervals, of the same groups."""
    columns, about = read(run)
    out = {}
    for group, members in grouped(tested(run), groups).items():
        chosen = (columns["label"] == 0) | np.isin(columns["method"].astype(str), members)
        found = localization(columns, chosen, known(about), cast(MapOf, about["map_of"]))
        out[group] = {name: rounded(one) for name, one in found.items()}
    return out


def wins(fakes: NDArray[np.float64], reals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F, R) 1 where the fake scores higher; their mean is the AUROC."""
    gap = fakes[:, None] - reals
    out: NDArray[np.float64] = (gap > 0) + 0.5 * (gap == 0)
    return out


def gain(ours: Sequence[Path], theirs: Sequence[Path], methods: Sequence[Sequence[str]]) -> list[float]:
    """Mean over seeds of the difference of AUROC, with the 95 % interval of resampling videos and seeds alike.

    Args:
        methods: The forgeries that count, for each seed.
    """
    rng = np.random.default_rng(0)
    pairs = []  # for each seed the (fakes, reals) wins of ours and of theirs
    for one, other, kinds in zip(map(tested, ours), map(tested, theirs), methods, strict=True):
        fake, real = np.isin(one.method, kinds), one.label == 0
        if not (np.array_equal(one.method, other.method) and np.array_equal(one.label, other.label)):
            raise Refused("runs of one seed were tested on different videos")
        pairs.append([wins(v.score[fake], v.score[real]) for v in (one, other)])
    apart = [mine - yours for mine, yours in pairs]
    draws = []
    for _ in range(RESAMPLES):
        chosen = [apart[s] for s in rng.integers(0, len(apart), len(apart))]
        fakes, reals = (rng.random(n) for n in chosen[0].shape)  # the same people in every seed
        picked = [one[(fakes * len(one)).astype(int)][:, (reals * one.shape[1]).astype(int)] for one in chosen]
        draws.append(np.mean([one.mean() for one in picked]))
    value = np.mean([one.mean() for one in apart])
    return [round(float(x), 3) for x in (value, *np.quantile(draws, [0.025, 0.975]))]


def summary(runs: Sequence[Path], groups: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, Any]:
    """Of one variant: figures of each seed, and what the seeds have in common.

    Args:
        groups: Of forgeries, for each seed; 'unseen' among them.
    """
    each = [figures(run, group) for run, group in zip(runs, groups, strict=True)]
    unseen = [one["unseen"][0] for one in each]
    return {
        "unseen_mean": round(mean(unseen), 3),
        "unseen_deviation": round(stdev(unseen), 3) if len(unseen) > 1 else None,
        "seeds": each,
        "localization": [localized(run, group) for run, group in zip(runs, groups, strict=True)],
    }


def counts(run: Path) -> dict[str, int]:
    v = tested(run)
    return {method: int((v.method == method).sum()) for method in sorted(set(map(str, v.method)))}
