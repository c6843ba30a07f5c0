"""LAA-Net on the reals of the studio, tested on every forgery: the whole, less its parts, and with other forgeries."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.study import counts, figures, studied, trained

# what ages real and fake alike is left out: six hundred steps from random weights do not get over it
SELF = {"after_jpeg": 0.0, "after_light": 0.0, "after_shift": 0.0, "ratios": [1.0], "change": 0.0}
OTHER = {"smallest": 317, "coarse": 0.0, "change": 0.0}
OTHER |= {"colour": 0.0, "light": 0.0, "after_jpeg": 0.0}
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "LAA-Net": ("laa_net", {}, SELF),
    "without heat map and consistency": ("laa_net", {"points": 0.0, "consistency": 0.0}, SELF),
    "plain pyramid": ("laa_net", {"gated": False}, SELF),
    "two faces blended (BI)": ("laa_net_bi", {"framing": {"cut": [5 / 256, 24 / 256], "down": 0.0}}, OTHER),
}


SPATIAL = ["LocalEdit", "NeuralTexture", "OutsideEdit", "Reenactment", "Swap"]


def run_of(variant: str, seed: int, data: Path, work: Path, epochs: int) -> Path:
    config, model, synthesis = VARIANTS[variant]
    own = {"prepared": str(data), "draws": 8, "num_workers": 0, "synthesis": {"init_args": synthesis}}
    settings = {
        "model": {"init_args": {**model, "scheduler": {"init_args": {"epochs": epochs}}}},
        "data": {"init_args": own},
    }
    run = work / f"{list(VARIANTS).index(variant)}_{seed}"
    return trained(run, [config, "overlays/laa_net_studio"], settings, seed, epochs)


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
        data: Folder prepared_m15 that benchmarks.cast made.
        work: Folder of the runs; an interrupted study goes on where it was.
        variants: Which.
        seeds: Runs of each.
        epochs: Of each run.
        jobs: Runs at the same time.
        name: Of the recorded result.
    """
    found = studied(partial(run_of, data=data.resolve(), work=work.resolve(), epochs=epochs), variants, seeds, jobs)
    result: dict[str, Any] = {"epochs": epochs, "videos": counts(found[variants[0]][0]), "variants": {}}
    for variant in variants:
        each = [figures(run, {"spatial": SPATIAL}) for run in found[variant]]
        spatial = [one["spatial"][0] for one in each]
        spread = round(stdev(spatial), 3) if len(spatial) > 1 else None
        mine = {"spatial_mean": round(mean(spatial), 3), "spatial_deviation": spread, "seeds": each}
        result["variants"][variant] = mine
        print(variant, json.dumps(mine))
    print(record(name, result))


if __name__ == "__main__":
    auto_cli(laa_net, as_positional=False)
