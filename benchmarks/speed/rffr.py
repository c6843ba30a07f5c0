"""What RFFR costs beside a plain ViT-B of the same size: operations, and seconds for an image."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import timm
import torch
from jsonargparse import auto_cli
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.record import record
from lightning_modules.rffr.method import RFFR

BRANCH = "vit_base_patch16_224.orig_in21k_ft_in1k"


def operations(call: Callable[[], Any]) -> float:
    """Multiplications and additions, in 10^9."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The quickest of some runs: what disturbs them only makes them slower."""
    found = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - begin)
    return min(found[1:])


def recovery_cost(
    batch_size: int = 1,
    repeats: int = 2,
    threads: int = 1,
    passes: list[int] = [16, 8, 4],  # noqa: B006
    half: bool = True,
) -> None:
    """Measure and record.

    Args:
        batch_size: Images in a batch.
        repeats: Number of repeats of each, after one that is not counted.
        threads: Number of threads.
        passes: In which all blocks are recovered.
        half: In bfloat16 as well.
    """
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images: Tensor = torch.rand(batch_size, 3, 224, 224, device=device)
    plain: Any = timm.create_model(BRANCH, pretrained=False).eval().to(device)
    calls: dict[str, Callable[[], Any]] = {"plain ViT-B": lambda: plain(images)}
    for count in passes:
        model = RFFR(BRANCH, passes=count).eval().to(device)
        calls[f"{count} passes"] = lambda model=model: model(images[:, None])  # type: ignore[misc]
    result: dict[str, Any] = {"batch_size": batch_size, "threads": threads}
    with torch.inference_mode():
        for name, call in calls.items():
            mine: dict[str, Any] = {
                "gflop": round(operations(call) / batch_size, 1),
                "seconds": round(seconds(call, repeats) / batch_size, 3),
            }
            if half:
                with torch.autocast(device.type, torch.bfloat16):
                    mine["seconds_bfloat16"] = round(seconds(call, repeats) / batch_size, 3)
            first = result.setdefault("plain ViT-B", mine)
            mine["times_plain"] = {key: round(mine[key] / first[key], 1) for key in first if key != "times_plain"}
            result[name] = mine
            print(name, mine, flush=True)
    print(record("recovery_cost", result))


if __name__ == "__main__":
    auto_cli(recovery_cost, as_positional=False)
