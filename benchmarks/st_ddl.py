"""ST-DDL on the studio: mesh motion, optical flow or none, on jitter from frame to frame and on its smooth control."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.study import counts, figures, gain, localized, studied, trained

MOTIONS = {
    "mesh": {"class_path": "lightning_modules.st.motion.MeshMotion"},
    "flow": {"class_path": "lightning_modules.st.motion.FlowMotion"},
    "none": {"class_path": "lightning_modules.st.motion.NoMotion"},
}
TEMPORAL = ["TemporalJitter", "TemporalSmooth"]
SEEN = ["NeuralTexture", "Reenactment", "Swap", "TemporalSmooth"]


def run_of(variant: str, seed: int, root: Path, work: Path, epochs: int, side: int) -> Path:
    motion, methods = ("mesh", SEEN) if variant == "seen" else (variant, TEMPORAL)
    own = {"root": str(root), "prepared": str(root / "prepared"), "num_workers": 0, "image_size": side}
    own |= {"methods": methods, "eval_clips": 8}
    model = {
        "trunk": "test_resnet",
        "width": 64,
        "motion": MOTIONS[motion],
        "scheduler": {"init_args": {"T_max": epochs}},
    }
    settings = {"model": {"init_args": model}, "data": {"init_args": own}}
    return trained(work / f"{variant}_{seed}", ["st_ddl", "overlays/st_ddl_studio"], settings, seed, epochs)


def st_ddl(
    root: Path, work: Path, seeds: int = 5, seen: int = 3, epochs: int = 10, side: int = 96, jobs: int = 2
) -> None:
    """Train, test and record.

    Args:
        root: Folder of the studio, with its prepared faces in it.
        work: Folder of the runs; an interrupted study goes on where it was.
        seeds: Runs of each motion; those of one seed see the same clips.
        seen: Runs on seen forgeries, tested on all.
        epochs: Of each run.
        side: Of the crops, in pixels.
        jobs: Runs at the same time.
    """
    one = partial(run_of, root=root.resolve(), work=work.resolve(), epochs=epochs, side=side)
    found = studied(one, list(MOTIONS), seeds, jobs)
    on_seen = studied(one, ["seen"], seen, jobs)["seen"]
    result: dict[str, Any] = {"epochs": epochs, "side": side, "seeds": seeds, "videos": counts(found["mesh"][0])}
    result["motions"] = {motion: [figures(run, {}) for run in each] for motion, each in found.items()}
    result["gain_of_mesh"] = {
        f"{method}, over {other}": gain(found["mesh"], found[other], [[method]] * seeds)
        for method in TEMPORAL
        for other in ("flow", "none")
    }
    groups = {"seen": SEEN, "unseen": [m for m in result["videos"] if m not in [*SEEN, "real"]]}
    result["trained_on_seen"] = {
        "methods": SEEN,
        "detection": [figures(run, groups) for run in on_seen],
        "localization": [localized(run, groups) for run in on_seen],
    }
    print(record("st_ddl", result))


if __name__ == "__main__":
    auto_cli(st_ddl, as_positional=False)
