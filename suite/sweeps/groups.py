"""The figures of groups of people, as a table of attributes names them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules import manifest
from datamodules.errors import Refused
from lightning_modules.metrics import functional
from lightning_modules.metrics.bootstrap import auroc_interval, figure, resampled
from suite.figures import Run, videos

WHO = ("video", "identity")  # what a row is about: a whole key, or all videos that were made from somebody's
FEWEST = 5  # reals, and fakes, below which a group has no figures


def read_attributes(path: Path) -> tuple[str, dict[str, dict[str, str]]]:
    """What rows are about, and each one's attributes."""
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    with path.open(newline="", encoding="utf-8-sig") as f:
        reader = csv.DictReader(f)
        who = next((name for name in WHO if name in (reader.fieldnames or [])), None)
        if who is None or len(reader.fieldnames or []) < 2:
            raise Refused(f"{path}: must have a column video or identity, and attributes")
        return who, {row[who]: {k: v for k, v in row.items() if k != who and v} for row in reader}


def groups_of(run: Run, prepared: Path, attributes: Path) -> Iterator[dict[str, Any]]:
    """A row for each value of each attribute.

    Args:
        prepared: Folder of the test set, whose manifest says who is in a video.
        attributes: A CSV file.
    """
    who, known = read_attributes(attributes)
    table = manifest.read(prepared / "manifest.csv")
    about = manifest.keys(table).to_pylist()
    if who == "identity":
        about = dict(zip(about, (text.split(" ")[0] for text in table["identities"].to_pylist()), strict=True))
    else:
        about = dict(zip(about, about, strict=True))
    v = videos(run)
    mine = [known.get(about.get(name, ""), {}) for name in np.unique(run.table["video"].astype(str)).tolist()]
    if not any(mine):
        raise Refused(f"{attributes}: knows none of the {len(mine)} tested videos by its column {who}")
    for name in dict.fromkeys(key for one in mine for key in one):
        for value in sorted({one[name] for one in mine if name in one}):
            part = v.of(np.array([one.get(name) == value for one in mine]))
            reals, fakes = int((part.label == 0).sum()), int((part.label == 1).sum())
            row: dict[str, Any] = {"attribute": name, "group": value, "reals": reals, "fakes": fakes}
            if min(reals, fakes) >= FEWEST:
                one = auroc_interval(part, resampled(part))
                row |= {"video_auroc": one.value, "video_auroc_low": one.low, "video_auroc_high": one.high}
                rates = [figure(lambda s, y, i=i: functional.rates(s, y, run.threshold)[i], part) for i in (0, 1)]  # type: ignore[misc]
                row |= {"fpr_at_validation": rates[0], "tpr_at_validation": rates[1]}
            yield row


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
        apart = {
            f"{name}_gap": max(row[name] for row in mine) - min(row[name] for row in mine)
            for name in ("video_auroc", "fpr_at_validation", "tpr_at_validation")
        }
        same = {"method": method, "train": train, "seed": seed, "test": test, "attribute": attribute}
        yield {**same, "groups": len(mine), "worst": worst["group"], "worst_auroc": worst["video_auroc"], **apart}
