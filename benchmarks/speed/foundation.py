"""CPU seconds and memory of one step of a large vision transformer, by what of it is tuned; random weights."""

from __future__ import annotations

import multiprocessing
import resource
import time
from typing import Any, get_args

import torch
from jsonargparse import auto_cli
from torch.nn import functional as F

from benchmarks.record import record
from lightning_modules.classifier import Classifier
from lightning_modules.trunks.tuning import Tune

GIB = 2**20  # of what getrusage counts


def measure(backbone: str, tune: Tune, batch: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Classifier(backbone, tune=tune).train()
    size = int(model.net.pretrained_cfg["input_size"][-1])
    frames, label = torch.rand(batch, 1, 3, size, size), (torch.arange(batch) % 2).float()
    built = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB
    out: dict[str, Any] = {"seconds": {}}
    start = time.process_time()
    loss = F.binary_cross_entropy_with_logits(model(frames).logit, label)
    out["seconds"]["forward"] = round(time.process_time() - start, 2)
    start = time.process_time()
    loss.backward()
    out["seconds"]["backward"] = round(time.process_time() - start, 2)
    tuned = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in tuned)
    out |= {"tuned_parameters": sum(p.numel() for p in tuned), "parameters": sum(p.numel() for p in model.parameters())}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB
    return out | {"peak_gib": round(peak, 2), "of_which_built_gib": round(built, 2)}


def benchmark(backbone: str = "vit_large_patch14_clip_quickgelu_224", batch: int = 2) -> None:
    """Measure, print and record.

    Args:
        backbone: Name of a timm vision transformer.
        batch: Images of a step.
    """
    result: dict[str, Any] = {"backbone": backbone, "batch": batch, "precision": "float32", "threads": 1}
    for tune in get_args(Tune):
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # a peak is that of a process
            result[tune] = pool.apply(measure, (backbone, tune, batch))
        print(tune, result[tune])
    print(record("foundation_step", result))


if __name__ == "__main__":
    auto_cli(benchmark, as_positional=False)
