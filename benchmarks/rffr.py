"""RFFR on the studio: what the residual adds to the pixels for forgeries not seen, and what fewer passes cost."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.recovery import SPATIAL, Variants, second_stage, stages
from benchmarks.study import counts, gain, studied, summary

TRAINED_ON = "Reenactment"  # as the paper trains on Face2Face
UNSEEN = [m for m in SPATIAL if m != TRAINED_ON]
DETECTORS: Variants = {
    "pixels and residual": ("blocks", {}),
    "pixels": ("blocks", {"sees": "pixels"}),
    "four passes": ("four", {"passes": 4}),
}


def detector(variant: str, seed: int, root: Path, work: Path, epochs: int) -> Path:
    return second_stage("rffr", DETECTORS, variant, seed, root, work, {"epochs": epochs}, methods=[TRAINED_ON])


def rffr(
    root: Path, work: Path, seeds: int = 5, before: int = 60, first: int = 12, epochs: int = 64, jobs: int = 2
) -> None:
    """Train, test and record.

    Args:
        root: Folder of the studio, with its prepared faces in it.
        work: Folder of the runs, those of benchmarks.recovery among them; an interrupted study goes on where it was.
        seeds: Runs of each variant; those of one seed see the same faces.
        before: Epochs of what the first stages start from.
        first: Epochs of the first stages.
        epochs: Of the detectors.
        jobs: Runs at the same time.
    """
    root, work = root.resolve(), work.resolve()
    stages(root, work, before, first, jobs)
    found = studied(partial(detector, root=root, work=work, epochs=epochs), list(DETECTORS), seeds, jobs)
    unseen, seen = [UNSEEN] * seeds, [[TRAINED_ON]] * seeds
    whole, groups = found["pixels and residual"], [{"unseen": UNSEEN}] * seeds
    result: dict[str, Any] = {
        "trained_on": TRAINED_ON,
        "epochs": epochs,
        "videos": counts(whole[0]),
        "variants": {variant: summary(runs, groups) for variant, runs in found.items()},
        "gain_of_auroc": {
            f"{name}, on {kind}": gain(whole, found[other], methods)
            for name, other in (
                ("of the residual, over pixels alone", "pixels"),
                ("of 16 passes, over 4", "four passes"),
            )
            for kind, methods in (("seen", seen), ("unseen", unseen))
        },
    }
    for name, value in result["gain_of_auroc"].items():
        print(name, value)
    print(record("rffr", result))


if __name__ == "__main__":
    auto_cli(rffr, as_positional=False)
