"""LAE with a planted shortcut: what no masks, random ones, chosen ones and all of them do for a forgery not seen."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.study import counts, figures, gain, read, studied, tested, trained
from datamodules import digests, manifest
from datamodules.annotation.request import read_request
from datamodules.atomic import appearing
from datamodules.errors import Refused
from datamodules.tables import load, save
from lightning_modules.metrics.pixel import BINS, centres

SEEN, UNSEEN = "Reenactment", "Swap"
CORNER = 20  # pixels of 128 that carry the shortcut
FAINT = 24  # grey levels
ARMS: dict[str, dict[str, Any]] = {
    "no masks": {"attention": 0.0},
    "random": {"strategy": "random"},
    "active": {"strategy": "active"},
    "all": {"strategy": "random", "per_video": 10**6},
}
CALLBACK = "callbacks.asking.AskForMasks"
AVERAGE = {"class_path": "callbacks.averaging.Averaging", "init_args": {"decay": 0.99}}


def planted(prepared: Path, out: Path, share: float, seed: int) -> Path:
    """A copy of prepared faces; a share of the seen fakes of training and validation has a chequered corner."""
    if (out / "carriers.json").exists():
        return out
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(prepared, out, copy_function=os.link)
    rng, carriers = np.random.default_rng(seed), []
    rows = manifest.rows(manifest.read(prepared / "manifest.csv"))
    for row in rows:
        if row.method == SEEN and row.split != "test" and rng.random() < share:
            carriers.append(row.key)
    chosen = set(carriers)
    pattern = FAINT * (np.indices((CORNER, CORNER)).sum(0) // 4 % 2 * 2 - 1)[..., None]
    table = load(prepared / "crops.arrow")
    lengths, sums = table["image_length"].to_pylist(), table["image_crc"].to_pylist()
    for i, (video, name) in enumerate(zip(table["video"].to_pylist(), table["image"].to_pylist(), strict=True)):
        if video in chosen:
            picture = np.asarray(cv2.imread(str(out / name)), int)
            picture[:CORNER, :CORNER] += pattern
            _, content = cv2.imencode(".png", picture.clip(0, 255).astype(np.uint8))
            (out / name).unlink()  # the other name of the file stays as it was
            (out / name).write_bytes(content.tobytes())
            lengths[i], sums[i] = len(content), crc32(content.tobytes())
    for name, values in (("image_length", lengths), ("image_crc", sums)):
        column = table.schema.get_field_index(name)
        table = table.set_column(column, table.schema.field(column), [values])
    (out / digests.FILE).unlink()  # likewise
    shutil.copy(prepared / digests.FILE, out)
    save(out / "crops.arrow", table.schema, [table], digests.replacing)
    digests.settle(out)
    (out / "carriers.json").write_text(json.dumps(carriers))
    return out


def run_of(
    arm: str, seed: int, data: Path, work: Path, budget: int, first: int, second: int, epochs: int | None = None
) -> Path:
    """One arm, or so many epochs of what all have in common."""
    options = dict(ARMS[arm])
    attention = options.pop("attention", 0.5)
    asking = {"class_path": CALLBACK, "init_args": {"after": first, "seed": seed, **options}}
    stages = {"init_args": {"first": first, "second": second}}
    oracle = {"init_args": {"budget": 10**6 if arm == "all" else budget}}
    own = {"prepared": str(data), "num_workers": 0, "methods": [SEEN], "draws": 8, "oracle": oracle}
    settings = {
        "model": {"init_args": {"first": first, "attention": attention, "scheduler": stages}},
        "data": {"init_args": own},
        "trainer": {"callbacks": [asking, AVERAGE]},
    }
    if epochs is not None:
        return trained(work / f"start_{seed}", ["lae", "overlays/lae_studio"], settings, seed, epochs)
    run = work / f"{list(ARMS).index(arm)}_{seed}"
    last = run / "checkpoints/last.ckpt"
    if not last.is_file():
        last.parent.mkdir(parents=True, exist_ok=True)
        with appearing(last) as part:
            shutil.copy2(work / f"start_{seed}/checkpoints/last.ckpt", part)
    # validation has the shortcut: the best weights there may be those of the first stage
    return trained(run, ["lae", "overlays/lae_studio"], settings, seed, first + second, tests="last")


def inside(run: Path, method: str) -> float:
    """Share of the attention on fakes that lies in the mask."""
    columns, _ = read(run)
    rows = columns["method"].astype(str) == method
    height = centres()
    forged, other = (
        float(np.stack(list(columns[name][rows])).reshape(-1, BINS).sum(0) @ height) for name in ("forged", "other")
    )
    return round(forged / (forged + other), 3)


def balanced(run: Path, method: str) -> dict[str, float]:
    """Accuracy on videos of reals and of one forgery, at the published rule and at the threshold of validation."""
    v, (_, about) = tested(run), read(run)
    out = {}
    for name, threshold in (("published", 0.5), ("validation", float(about.get("video_threshold", "nan")))):
        called = v.score >= threshold
        out[name] = round(float(called[v.method == method].mean() + (~called[v.label == 0]).mean()) / 2, 3)
    return out


def outcome(run: Path, carriers: set[str]) -> dict[str, Any]:
    kinds = {"seen": SEEN, "unseen": UNSEEN}
    asked = read_request(run).faces
    return {
        "auroc": figures(run, {}),
        "accuracy": {name: balanced(run, method) for name, method in kinds.items()},
        "attention_inside": {name: inside(run, method) for name, method in kinds.items()},
        "masks": len(asked),
        "carriers_among_them": round(float(np.mean([face.video in carriers for face in asked])), 3),
    }


def lae(
    prepared: Path,
    work: Path,
    share: float = 0.5,
    budget: int = 122,
    seeds: int = 5,
    first: int = 10,
    second: int = 6,
    jobs: int = 2,
) -> None:
    """Train, test and record.

    Args:
        prepared: Folder of prepared faces of the studio.
        work: Folder of the runs; an interrupted study goes on where it was.
        share: Of the seen fakes that carry the shortcut.
        budget: Masks, under 3 % of the frames of training.
        seeds: Runs of each arm.
        first: Epochs of the first stage.
        second: Of the second, which all arms have.
        jobs: Runs at the same time.
    """
    if first < 4:
        raise Refused(f"first {first}: must be at least 4")
    work = work.resolve()
    data = planted(prepared.resolve(), work / f"planted_{share}", share, 0)
    carriers = set(json.loads((data / "carriers.json").read_text()))
    one = partial(run_of, data=data, work=work, budget=budget, first=first, second=second)
    # until masks are asked for, all arms of a seed are the same
    studied(partial(one, epochs=first - 2), [next(iter(ARMS))], seeds, jobs)
    found = studied(one, list(ARMS), seeds, jobs)
    training = [row for row in manifest.rows(manifest.read(data / "manifest.csv")) if row.split == "train"]
    result: dict[str, Any] = {"share": share, "budget": budget, "epochs": [first, second]}
    result["carriers_in_training"] = round(np.mean([r.key in carriers for r in training if r.method == SEEN]), 3)
    result["videos"] = counts(found["active"][0])
    result["arms"] = {arm: [outcome(run, carriers) for run in runs] for arm, runs in found.items()}
    result["gain_of_auroc"] = {
        f"{arm}, over {other}, on {name}": gain(found[arm], found[other], [[method]] * seeds)
        for arm, other in (("active", "no masks"), ("active", "random"), ("all", "no masks"))
        for name, method in (("seen", SEEN), ("unseen", UNSEEN))
    }
    for name, value in result["gain_of_auroc"].items():
        print(name, value)
    print(record("lae", result))


if __name__ == "__main__":
    auto_cli(lae, as_positional=False)
