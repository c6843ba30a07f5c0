"""RFFR and Delocate on the studio: what recovery alone tells, what the detectors add, and what passes cost."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.study import ROOT, counts, figures, gain, localized, read, studied, suite, tested, trained

GRID = {"patches": 8, "block": 2, "border": 0}
ANYWHERE = {"class_path": "lightning_modules.recovery.masking.Parts", "init_args": {"among": "face"}}
# what every stage starts from: most of what is hidden there helps a step along, a single block hardly does
BASE = {"class_path": "lightning_modules.recovery.masking.Scattered", "init_args": {"share": 0.4}}
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "blocks": ("rffr_pretrain", {"grid": GRID}),
    "four": ("rffr_pretrain", {"grid": GRID, "passes": 4}),  # blocks in each of four passes
    "parts": ("delocate_recover", {}),
    "face": ("delocate_recover", {"among": "face"}),  # as many patches, anywhere on the face
}
SPATIAL = ["LocalEdit", "NeuralTexture", "OutsideEdit", "Reenactment", "Swap"]
TRAINED_ON = "Reenactment"  # as the paper trains on Face2Face
DETECTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "pixels and residual": ("blocks", {}),
    "pixels": ("blocks", {"sees": "pixels"}),
    "four passes": ("four", {"passes": 4}),
}
LOCALIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "parts": ("parts", {"split": "none"}),
    "anywhere on the face": ("face", {"split": "none", "masking": ANYWHERE}),
    "parts, no loss of the mask": ("parts", {"split": "none", "mask_weight": 0.0}),
    "parts, meta-learning": ("parts", {"split": "methods"}),
}


def own_data(root: Path, **changes: Any) -> dict[str, Any]:
    return {"root": str(root), "prepared": str(root / "prepared"), "num_workers": 0} | changes


def base(root: Path, work: Path, epochs: int) -> Path:
    model = {"masking": BASE, "scheduler": {"init_args": {"epochs": epochs}}}
    settings = {"model": {"init_args": model}, "data": {"init_args": own_data(root)}}
    return trained(work / "stage_base", ["rffr_pretrain", "overlays/recover_studio"], settings, 0, epochs)


def stage(name: str, seed: int, root: Path, work: Path, epochs: int) -> Path:
    """The first stage, one for all seeds of the second."""
    config, masking = STAGES[name]
    model: dict[str, Any] = {"masking": {"init_args": masking}, "scheduler": {"init_args": {"epochs": epochs}}}
    model["weights"] = str(work / "stage_base/checkpoints/best.ckpt")
    settings = {"model": {"init_args": model}, "data": {"init_args": own_data(root)}}
    return trained(work / f"stage_{name}", [config, "overlays/recover_studio"], settings, seed, epochs)


def detector(variant: str, seed: int, root: Path, work: Path, epochs: int) -> Path:
    first, model = DETECTORS[variant]
    model = model | {"generator_weights": str(work / f"stage_{first}/checkpoints/best.ckpt")}
    settings = {
        "model": {"init_args": {**model, "scheduler": {"init_args": {"epochs": epochs}}}},
        "data": {"init_args": own_data(root, methods=[TRAINED_ON], eval_clips=4)},
    }
    run = work / f"rffr_{list(DETECTORS).index(variant)}_{seed}"
    return trained(run, ["rffr", "overlays/rffr_studio"], settings, seed, epochs)


def localizer(variant: str, seed: int, root: Path, work: Path, epochs: int) -> Path:
    """Trained on all forgeries that a single frame shows but one, another for each seed."""
    first, model = LOCALIZERS[variant]
    model = model | {"generator_weights": str(work / f"stage_{first}/checkpoints/best.ckpt")}
    methods = sorted({*SPATIAL} - {SPATIAL[seed % len(SPATIAL)]})
    settings = {
        "model": {"init_args": {**model, "scheduler": {"init_args": {"T_max": epochs}}}},
        "data": {"init_args": own_data(root, methods=methods, train_clips=16, eval_clips=4)},
    }
    run = work / f"delocate_{list(LOCALIZERS).index(variant)}_{seed}"
    return trained(run, ["delocate", "overlays/delocate_studio"], settings, seed, epochs)


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


def summary(found: dict[str, list[Path]], groups: list[dict[str, list[str]]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for variant, runs in found.items():
        each = [figures(run, group) for run, group in zip(runs, groups, strict=True)]
        unseen = [one["unseen"][0] for one in each]
        out[variant] = {"unseen_mean": round(mean(unseen), 3), "seeds": each}
        out[variant]["unseen_deviation"] = round(stdev(unseen), 3) if len(unseen) > 1 else None
        out[variant]["localization"] = [localized(run, group) for run, group in zip(runs, groups, strict=True)]
    return out


def recovery(
    root: Path,
    work: Path,
    seeds: int = 5,
    before: int = 60,
    first: int = 12,
    detectors: int = 64,
    localizers: int = 6,
    jobs: int = 2,
) -> None:
    """Train, test and record.

    Args:
        root: Folder of the studio, with its prepared faces in it.
        work: Folder of the runs; an interrupted study goes on where it was.
        seeds: Runs of each variant; those of one seed see the same faces.
        before: Epochs of what the first stages start from.
        first: Epochs of the first stages.
        detectors: Epochs of RFFR.
        localizers: Epochs of Delocate.
        jobs: Runs at the same time.
    """
    root, work = root.resolve(), work.resolve()
    at = {"root": root, "work": work}
    base(root, work, before)
    stages = studied(partial(stage, **at, epochs=first), list(STAGES), 1, jobs)  # type: ignore[arg-type]
    rffr = studied(partial(detector, **at, epochs=detectors), list(DETECTORS), seeds, jobs)  # type: ignore[arg-type]
    delocate = studied(partial(localizer, **at, epochs=localizers), list(LOCALIZERS), seeds, jobs)  # type: ignore[arg-type]
    plain = {where: degenerate(where, root, work) for where in ("everywhere", "face", "features")}

    unseen = [[m for m in SPATIAL if m != TRAINED_ON]] * seeds
    left_out = [[SPATIAL[seed % len(SPATIAL)]] for seed in range(seeds)]
    whole = rffr["pixels and residual"]
    ours = delocate["parts"]
    result = {
        "epochs": {"before": before, "first": first, "detectors": detectors, "localizers": localizers},
        "videos": counts(whole[0]),
        "premise": {name: premise(run, root) for name, [run] in stages.items()},
        "rffr": summary(rffr, [{"unseen": kinds} for kinds in unseen]),
        "rffr_gain_on_unseen": {
            "of the residual, over pixels alone": gain(whole, rffr["pixels"], unseen),
            "of sixteen passes, over four": gain(whole, rffr["four passes"], unseen),
        },
        "delocate": summary(delocate, [{"unseen": kinds} for kinds in left_out]),
        "delocate_gain_on_unseen": {
            "of parts, over anywhere on the face": gain(ours, delocate["anywhere on the face"], left_out),
            "of the loss of the mask, over none": gain(ours, delocate["parts, no loss of the mask"], left_out),
            "of meta-learning, over none": gain(delocate["parts, meta-learning"], ours, left_out),
        },
        "masks_that_look_at_nothing": {name: localized(run, {"spatial": SPATIAL}) for name, run in plain.items()},
    }
    for name in ("rffr_gain_on_unseen", "delocate_gain_on_unseen"):
        print(result[name])
    print(record("recovery", result))


if __name__ == "__main__":
    auto_cli(recovery, as_positional=False)
