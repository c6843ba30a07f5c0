"""Delocate on the studio: what it hides, what masks and meta-learning teach it, each with a forgery left out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.recovery import SPATIAL, Variants, second_stage, stages
from benchmarks.study import counts, gain, studied, summary

ANYWHERE = {"class_path": "lightning_modules.recovery.masking.Parts", "init_args": {"among": "face"}}
LOCALIZERS: Variants = {
    "parts": ("parts", {"split": "none"}),
    "anywhere on the face": ("face", {"split": "none", "masking": ANYWHERE}),
    "parts, no loss of the mask": ("parts", {"split": "none", "mask_weight": 0.0}),
    "parts, meta-learning": ("parts", {"split": "methods"}),
}


def left_out(seed: int) -> str:
    return SPATIAL[seed % len(SPATIAL)]


def localizer(variant: str, seed: int, root: Path, work: Path, epochs: int) -> Path:
    """Trained on all forgeries that a single frame shows but one, another for each seed."""
    data: dict[str, Any] = {"methods": sorted({*SPATIAL} - {left_out(seed)}), "train_clips": 16}
    return second_stage("delocate", LOCALIZERS, variant, seed, root, work, {"T_max": epochs}, **data)


def delocate(
    root: Path, work: Path, seeds: int = 5, before: int = 60, first: int = 12, epochs: int = 6, jobs: int = 2
) -> None:
    """Train, test and record.

    Args:
        root: Folder of the studio, with its prepared faces in it.
        work: Folder of the runs, those of benchmarks.recovery among them; an interrupted study goes on where it was.
        seeds: Runs of each variant, each of which leaves out another forgery.
        before: Epochs of what the first stages start from.
        first: Epochs of the first stages.
        epochs: Of the second stage.
        jobs: Runs at the same time.
    """
    root, work = root.resolve(), work.resolve()
    stages(root, work, before, first, jobs)
    found = studied(partial(localizer, root=root, work=work, epochs=epochs), list(LOCALIZERS), seeds, jobs)
    unseen = [[left_out(seed)] for seed in range(seeds)]
    groups = [{"unseen": one, "seen": sorted({*SPATIAL} - {*one})} for one in unseen]
    parts, meta = found["parts"], found["parts, meta-learning"]
    result: dict[str, Any] = {
        "epochs": epochs,
        "videos": counts(parts[0]),
        "left_out": [left_out(seed) for seed in range(seeds)],
        "variants": {variant: summary(runs, groups) for variant, runs in found.items()},
        "gain_of_auroc_on_unseen": {
            "of parts, over anywhere on the face": gain(parts, found["anywhere on the face"], unseen),
            "of the loss of the mask, over none": gain(parts, found["parts, no loss of the mask"], unseen),
            "of meta-learning, over none": gain(meta, parts, unseen),
        },
    }
    for name, value in result["gain_of_auroc_on_unseen"].items():
        print(name, value)
    print(record("delocate", result))


if __name__ == "__main__":
    auto_cli(delocate, as_positional=False)
