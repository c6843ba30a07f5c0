"""The metrics of groups of people, as a table of attributes names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules import manifest
from datamodules.prepared import checksums
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_table
from lightning_modules.metrics.bootstrap import measure, resample
from lightning_modules.metrics.registry import get
from suite.run_metrics import Run, videos

WHO = ("video", "identity")  # what a row is about: a whole key, or all videos that were made from somebody's
OF_GROUP = ("video_auroc", "video_fpr_at_validation", "video_tpr_at_validation")
FEWEST = 5  # reals, and fakes, below which a group has no metrics


def read_attributes(path: Path) -> tuple[str, dict[str, dict[str, str]]]:
    """What rows are about, and each one's attributes."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    columns, rows = read_table(path)
    who = next((name for name in WHO if name in columns), None)
    if who is None or len(columns) < 2:
        raise UserError(f"{path}: must have a column video or identity, and attributes")
    return who, {row[who]: {k: v for k, v in row.items() if k != who and v} for row in rows}


def groups_of(run: Run, prepared: Path, attributes: Path) -> Iterator[dict[str, Any]]:
    """A row for each value of each attribute.

    Args:
        prepared: Folder of the test set, whose manifest says who is in a video.
        attributes: A CSV file.
    """
    who, known = read_attributes(attributes)
    table = manifest.read(checksums.check(prepared, "manifest.csv"))
    about = manifest.keys(table).to_pylist()
    if who == "identity":
        about = dict(zip(about, (text.split(" ")[0] for text in table["identities"].to_pylist()), strict=True))
    else:
        about = dict(zip(about, about, strict=True))
    v = videos(run)
    mine = [known.get(about.get(name, ""), {}) for name in np.unique(run.table["video"].astype(str)).tolist()]
    if not any(mine):
        raise UserError(f"{attributes}: knows none of the {len(mine)} tested videos by its column {who}")
    for name in dict.fromkeys(key for one in mine for key in one):
        for value in sorted({one[name] for one in mine if name in one}):
            part = v.select(np.array([one.get(name) == value for one in mine]))
            reals, fakes = int((part.label == 0).sum()), int((part.label == 1).sum())
            row: dict[str, Any] = {"attribute": name, "group": value, "reals": reals, "fakes": fakes}
            if min(reals, fakes) >= FEWEST:
                draws = resample(part)
                for id in OF_GROUP:
                    one = measure(get(id), part, run.fixed_values, draws)
                    ends = {id: one.value, f"{id}_low": one.low, f"{id}_high": one.high}
                    row |= {name: None if np.isnan(value) else value for name, value in ends.items()}
            yield row


def gap(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) - min(known) if len(known) == len(values) else None


def gaps(groups: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The worst group of each attribute, and how far apart groups are, of each test."""
    tests: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in groups:
        if "video_auroc" in row:
            key = tuple(row[name] for name in ("method", "train", "seed", "test", "attribute"))
            tests.setdefault(key, []).append(row)
    for (method, train, seed, test, attribute), mine in tests.items():
        if len(mine) < 2:
            continue
        worst = min(mine, key=lambda row: row["video_auroc"])
        apart = {f"{name}_gap": gap([row[name] for row in mine]) for name in OF_GROUP}
        same = {"method": method, "train": train, "seed": seed, "test": test, "attribute": attribute}
        yield {**same, "groups": len(mine), "worst": worst["group"], "worst_auroc": worst["video_auroc"], **apart}
