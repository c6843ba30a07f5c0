"""The premise of RFFR and Delocate on the studio: is what is forged recovered worse than what is real."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.study import ROOT, counts, figures, localized, read, studied, suite, tested, trained

SPATIAL = ["LocalEdit", "NeuralTexture", "OutsideEdit", "Reenactment", "Swap"]  # that a single frame shows
GRID = {"patches": 8, "block": 2, "border": 0}
# what every stage starts from: most of what is hidden there helps a step along, a single block hardly does
BASE = {"class_path": "lightning_modules.recovery.masking.Scattered", "init_args": {"share": 0.4}}
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "blocks": ("rffr_pretrain", {"grid": GRID}),
    "four": ("rffr_pretrain", {"grid": GRID, "passes": 4}),  # blocks in each of four passes
    "parts": ("delocate_recover", {}),
    "face": ("delocate_recover", {"among": "face"}),  # as many patches, anywhere on the face
}


def own_data(root: Path, **changes: Any) -> dict[str, Any]:
    return {"root": str(root), "prepared": str(root / "prepared"), "num_workers": 0} | changes


def generator(work: Path, stage: str) -> str:
    return str(work / f"stage_{stage}/checkpoints/best.ckpt")


def base(root: Path, work: Path, epochs: int) -> Path:
    model = {"masking": BASE, "scheduler": {"init_args": {"epochs": epochs}}}
    settings = {"model": {"init_args": model}, "data": {"init_args": own_data(root)}}
    return trained(work / "stage_base", ["rffr_pretrain", "overlays/recover_studio"], settings, 0, epochs)


def stage(name: str, seed: int, root: Path, work: Path, epochs: int) -> Path:
    """The first stage, one for all seeds of the second."""
    config, masking = STAGES[name]
    model: dict[str, Any] = {"masking": {"init_args": masking}, "scheduler": {"init_args": {"epochs": epochs}}}
    model["weights"] = generator(work, "base")
    settings = {"model": {"init_args": model}, "data": {"init_args": own_data(root)}}
    return trained(work / f"stage_{name}", [config, "overlays/recover_studio"], settings, seed, epochs)


def stages(root: Path, work: Path, before: int, first: int, jobs: int) -> dict[str, Path]:
    """All of them, of which those that are complete are taken as they are."""
    base(root, work, before)
    found = studied(partial(stage, root=root, work=work, epochs=first), list(STAGES), 1, jobs)
    return {name: run for name, [run] in found.items()}


Variants = Mapping[str, tuple[str, dict[str, Any]]]  # the first stage of each, and what is changed of the model


def second_stage(
    method: str,
    variants: Variants,
    variant: str,
    seed: int,
    root: Path,
    work: Path,
    schedule: dict[str, int],
    **data: Any,
) -> Path:
    """One run of RFFR or Delocate.

    Args:
        method: Name of its config.
        schedule: The one argument of its scheduler, which is its epochs.
        **data: What is changed of the data.
    """
    first, model = variants[variant]
    model = model | {"generator_weights": generator(work, first), "scheduler": {"init_args": schedule}}
    settings = {"model": {"init_args": model}, "data": {"init_args": own_data(root, eval_clips=4, **data)}}
    run = work / f"{method}_{list(variants).index(variant)}_{seed}"
    [epochs] = schedule.values()
    return trained(run, [method, f"overlays/{method}_studio"], settings, seed, epochs)


def premise(run: Path, root: Path) -> dict[str, Any]:
    """Errors of recovery, of reals and of each forgery, and how many bits their videos have."""
    v = tested(run)
    columns, _ = read(run)
    bits: dict[str, list[float]] = {}
    for key in sorted(set(columns["video"].astype(str))):
        method, stem = key.split("/")[1], key.split("/")[3]
        [file] = [*root.glob(f"*_sequences/{'youtube' if method == 'real' else method}/c23/videos/{stem}.mp4")]
        bits.setdefault(method, []).append(file.stat().st_size / 1024)
    errors = {str(m): round(float(np.median(v.score[v.method == m])), 4) for m in sorted(set(v.method))}
    return {
        "median_score": errors,
        "median_kib_of_a_video": {m: round(float(np.median(sizes)), 1) for m, sizes in bits.items()},
        "auroc_of_the_error": figures(run, {"spatial": SPATIAL}),
        "localization": localized(run, {"spatial": SPATIAL}),
    }


def degenerate(where: str, root: Path, work: Path) -> Path:
    run = work / f"degenerate_{where}"
    if not (run / "predictions.parquet").exists():
        more = ["--model.where", where, "--data.root", str(root), "--data.prepared", str(root / "prepared")]
        more += ["--data.num_workers", "0", "--data.image_size", "64", "--data.eval_clips", "4", "--run", str(run)]
        suite("test", run, [ROOT / "configs/degenerate.yaml"], more)
    return run


def recovery(root: Path, work: Path, before: int = 60, first: int = 12, jobs: int = 2) -> None:
    """Train the first stages on real faces, test them on all, and record.

    Args:
        root: Folder of the studio, with its prepared faces in it.
        work: Folder of the runs; an interrupted study goes on where it was.
        before: Epochs of what the first stages start from.
        first: Epochs of the first stages.
        jobs: Runs at the same time.
    """
    root, work = root.resolve(), work.resolve()
    found = stages(root, work, before, first, jobs)
    plain = {where: degenerate(where, root, work) for where in ("everywhere", "face", "features")}
    result: dict[str, Any] = {
        "epochs": {"before": before, "first": first},
        "videos": counts(found["blocks"]),
        "premise": {name: premise(run, root) for name, run in found.items()},
        "masks_that_look_at_nothing": {name: localized(run, {"spatial": SPATIAL}) for name, run in plain.items()},
    }
    for name, one in result["premise"].items():
        print(name, one["auroc_of_the_error"])
    print(record("recovery", result))


if __name__ == "__main__":
    auto_cli(recovery, as_positional=False)
