"""ST-DDL on the studio: mesh motion, optical flow or none, on jitter from frame to frame and on its smooth control."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.study import counts, figures, localized, studied, tested, trained
from lightning_modules.intervals import RESAMPLES, Videos
from lightning_modules.scores import auroc

MOTIONS = {
    "mesh": {"class_path": "lightning_modules.st.motion.MeshMotion"},
    "flow": {"class_path": "lightning_modules.st.motion.FlowMotion"},
    "none": {"class_path": "lightning_modules.st.motion.NoMotion"},
}
TEMPORAL = ["TemporalJitter", "TemporalSmooth"]
SEEN = ["NeuralTexture", "Reenactment", "Swap", "TemporalSmooth"]


def run_of(
    motion: str, seed: int, root: Path, work: Path, epochs: int, side: int, methods: list[str] = TEMPORAL
) -> Path:
    own = {"root": str(root), "prepared": str(root / "prepared"), "num_workers": 0, "image_size": side}
    own |= {"methods": methods, "eval_clips": 8}
    model = {
        "trunk": "test_resnet",
        "width": 64,
        "motion": MOTIONS[motion],
        "scheduler": {"init_args": {"T_max": epochs}},
    }
    settings = {"model": {"init_args": model}, "data": {"init_args": own}}
    name = motion if methods is TEMPORAL else "seen"
    return trained(work / f"{name}_{seed}", ["st_ddl", "overlays/st_ddl_studio"], settings, seed, epochs)


def gain(ours: list[Videos], theirs: list[Videos], method: str) -> list[float]:
    """Mean over seeds of the difference of AUROC, with the 95 % interval of resampling videos and seeds alike."""

    def pick(v: Videos, of: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(v.score[of]), torch.from_numpy(v.label[of])

    rng = np.random.default_rng(0)
    one = ours[0]
    reals, fakes = np.flatnonzero(one.label == 0), np.flatnonzero(one.method == method)

    def difference(seeds: Any, videos: Any) -> float:
        return mean(float(auroc(*pick(ours[s], videos)) - auroc(*pick(theirs[s], videos))) for s in seeds)

    whole = np.concatenate([reals, fakes])
    value = difference(range(len(ours)), whole)
    draws = []
    for _ in range(RESAMPLES):
        videos = np.concatenate([rng.choice(kind, len(kind)) for kind in (reals, fakes)])
        draws.append(difference(rng.integers(0, len(ours), len(ours)), videos))
    return [round(float(x), 3) for x in (value, *np.quantile(draws, [0.025, 0.975]))]


def st_ddl(root: Path, work: Path, seeds: int = 5, epochs: int = 10, side: int = 96, jobs: int = 2) -> None:
    """Train, test and record.

    Args:
        root: Folder of the studio, with its prepared faces in it.
        work: Folder of the runs; an interrupted study goes on where it was.
        seeds: Runs of each motion; those of one seed see the same clips.
        epochs: Of each run.
        side: Of the crops, in pixels.
        jobs: Runs at the same time.
    """
    one = partial(run_of, root=root.resolve(), work=work.resolve(), epochs=epochs, side=side)
    found = studied(one, list(MOTIONS), seeds, jobs)
    all_seen = studied(partial(one, methods=SEEN), ["mesh"], min(seeds, 3), jobs)["mesh"]
    videos = {motion: [tested(run) for run in each] for motion, each in found.items()}
    result: dict[str, Any] = {"epochs": epochs, "side": side, "seeds": seeds, "videos": counts(found["mesh"][0])}
    result["motions"] = {motion: [figures(run, {}) for run in each] for motion, each in found.items()}
    result["gain_of_mesh"] = {
        f"{method}, over {other}": gain(videos["mesh"], videos[other], method)
        for method in TEMPORAL
        for other in ("flow", "none")
    }
    groups = {"seen": SEEN, "unseen": [m for m in result["videos"] if m not in [*SEEN, "real"]]}
    result["trained_on_seen"] = {
        "methods": SEEN,
        "detection": [figures(run, groups) for run in all_seen],
        "localization": [localized(run, groups) for run in all_seen],
    }
    print(record("st_ddl", result))


if __name__ == "__main__":
    auto_cli(st_ddl, as_positional=False)
