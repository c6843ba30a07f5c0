"""Test videos that no metric covers: unreadable ones, those without a face, and those too short for a clip."""

from __future__ import annotations

import json
from pathlib import Path

from datamodules.degradation.dataset import LOST, read_lost
from datamodules.loading.without_clip import KEY as WITHOUT_CLIP
from datamodules.prepared.tables import read_skipped
from suite.run_metrics import LEFT_OUT, Run


def list_unscored(run: Run, prepared: Path) -> list[str] | None:
    """Keys of the test videos that were not scored; imported scores say so, of others 'prepare' which it left out.

    Args:
        prepared: Folder of the test set.
    """
    if LEFT_OUT in run.about:
        return [str(key) for key in json.loads(run.about[LEFT_OUT])]
    found = [str(key) for key in json.loads(run.about.get(WITHOUT_CLIP, "[]"))]
    releases = {
        (dataset, compression) for dataset, _, compression, _ in (key.split("/", 3) for key in list_scored(run))
    }
    for skipped in read_skipped(prepared):
        dataset, _, compression, _ = skipped.video.split("/", 3)
        if (dataset, compression) not in releases:
            continue
        if not skipped.split:  # of a table that does not say
            return None
        if skipped.split == "test":
            found.append(skipped.video)
    degraded = prepared.parent / LOST
    return found + (list(read_lost(degraded)) if degraded.is_file() else [])


def list_scored(run: Run) -> set[str]:
    return set(run.table["video"].astype(str).tolist())


def coverage(run: Run, missing: list[str]) -> float:
    known = len(list_scored(run))
    return known / (known + len(missing))


def count_missing_as_chance(run: Run, missing: list[str], auroc: float) -> float | None:
    """The AUROC where every comparison with a missing video is a coin that is tossed.

    Args:
        auroc: Of the videos that were scored.
    """
    table = run.table
    fake = {
        f"{d}/{m}": bool(y)
        for d, m, y in zip(table["dataset"].tolist(), table["method"].tolist(), table["label"].tolist(), strict=True)
    }
    kinds = ["/".join(key.split("/", 2)[:2]) for key in missing]
    if any(kind not in fake for kind in kinds):  # all videos of a forgery are missing
        return None
    labels = dict(zip(table["video"].tolist(), table["label"].tolist(), strict=True))
    fakes = sum(map(bool, labels.values()))
    reals = len(labels) - fakes
    more = sum(fake[kind] for kind in kinds)
    pairs = (fakes + more) * (reals + len(kinds) - more)
    return (auroc * fakes * reals + 0.5 * (pairs - fakes * reals)) / pairs
