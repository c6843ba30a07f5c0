"""What stands before a card as YAML, and is read by the Hugging Face hub: tags, data sets and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml

from lightning_modules.metrics.bootstrap import Interval
from lightning_modules.metrics.registry import get
from lightning_modules.trained_method import Trained
from suite.run_metrics import Run

KNOWN = {"video_auroc": "roc_auc"}  # what the hub calls a metric


def front_matter(
    trained: Trained, test: Run | None, metrics: Mapping[str, Interval], licence: str, more: Mapping[str, Any]
) -> str:
    """
    Args:
        test: Whose metrics they are.
        metrics: By their ids; none of what has not learned its own task.
        more: What else is to be said, of a Space.
    """
    task = "image-classification" if int(trained.contract["clip"]) == 1 else "video-classification"
    tags = ["deepfake-detection", "face-forgery", *(["landmarks"] if trained.method.needs_landmarks else [])]
    seen = {kind.partition("/")[0] for kind in trained.trained_on}
    tested = sorted({str(name) for name in test.table["dataset"]}) if test is not None else []
    about: dict[str, Any] = {"library_name": "deepfake-suite", "license": licence, "pipeline_tag": task, "tags": tags}
    if names := sorted(seen.union(tested)):
        about["datasets"] = names
    found = [
        {"type": KNOWN.get(id, id), "name": get(id).title, "value": round(float(one.value), 4)}
        for id, one in metrics.items()
        if not np.isnan(one.value)
    ]
    if found:
        dataset = {"type": "+".join(tested), "name": " + ".join(tested), "split": "test"}
        result = {"task": {"type": task, "name": "face forgery detection"}, "dataset": dataset, "metrics": found}
        about["model-index"] = [{"name": trained.name, "results": [result]}]
    return yaml.safe_dump({**about, **more}, sort_keys=False, allow_unicode=True)
