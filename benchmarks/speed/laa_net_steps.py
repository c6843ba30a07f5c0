"""What a training step of LAA-Net costs in time and memory: bare, in the suite, with SAM, with what may be faster."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch
from jsonargparse import auto_cli
from pytorch_lightning import Callback, LightningModule, Trainer
from torch._dynamo.exc import TorchDynamoException

from benchmarks.record import record
from benchmarks.speed.overhead import OneBatch, batch
from callbacks.throughput import Throughput
from datamodules.batch import Batch
from lightning_modules.laa_net.losses import losses
from lightning_modules.laa_net.method import LAANet
from lightning_modules.laa_net.targets import boundary_of, encode
from lightning_modules.training.csv_logger import History

VARIANTS: dict[str, dict[str, Any]] = {
    "bare loop": {"bare": True},
    "suite": {},
    "suite, channels last": {"channels_last": True},
    "suite, bfloat16": {"bfloat16": True},
    "suite, channels last, bfloat16": {"channels_last": True, "bfloat16": True},
    "suite, compiled": {"compiled": True},
    "suite, compiled, channels last, bfloat16": {"compiled": True, "channels_last": True, "bfloat16": True},
    "suite, SAM": {"rho": 0.05},
}


def create_batch(pairs: int, size: int) -> Batch:
    """Noise; the second half has soft masks, so that all three losses have work."""
    both = batch(2 * pairs, size)
    centred = torch.linspace(-1, 1, size)
    disc = (3 - 5 * torch.hypot(centred[:, None], centred[None])).clamp(0, 1)
    is_fake = torch.arange(2 * pairs) >= pairs
    return replace(both, label=is_fake.long(), mask=(is_fake[:, None, None] * disc)[:, None, None])


class Ticks(Callback):
    """When each step ended."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.at = now, list[float]()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        self.at.append(self.now())


def read_clock() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def time_bare(method: LAANet, one: Batch, steps: int) -> list[float]:
    network, weight = method.network.train(), method.weight
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-5, weight_decay=1e-4)
    images, label, mask = one.frames[:, 0], one.label, one.mask[:, 0, 0]
    at = []
    for _ in range(steps):
        heads = network(images)
        targets = encode(boundary_of(mask, *heads.points.shape[-2:]))
        loss = torch.stack([weight[name] * each for name, each in losses(heads, label, targets).items()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        at.append(read_clock())
    return at


def measure_steps(
    variant: str, trunk: str, size: int, pairs: int, steps: int, threads: int, work: Path
) -> dict[str, Any]:
    """In a process of its own: milliseconds of each step but the first three, and the most memory ever held."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    options = VARIANTS[variant]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    one = create_batch(pairs, size).to(torch.device(device))
    method = LAANet(trunk, size=size, rho=options.get("rho", 0.0), padding_side=None).to(device)
    if options.get("channels_last"):
        method.to(memory_format=torch.channels_last)
    if options.get("compiled"):
        method.network.compile()
    if options.get("bare"):
        at = time_bare(method, one, steps)
    else:
        ticks = Ticks(read_clock)
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            precision="bf16-mixed" if options.get("bfloat16") else "32-true",
            max_epochs=1,
            logger=History(work, name="", version=""),
            callbacks=[Throughput(), ticks],
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        trainer.fit(method, datamodule=OneBatch(one, steps))
        at = ticks.at
    spent = [1000 * (b - a) for a, b in pairwise(at[2:])]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    held = {"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)} if device == "cuda" else {}
    return {
        "ms": round(median(spent), 1),
        "fastest_ms": round(min(spent), 1),
        **held,
        "process_peak_gib": round(peak, 2),
    }


def laa_net_steps(
    work: Path,
    trunk: str = "tf_efficientnet_b4",
    size: int = 384,
    pairs: int = 1,
    steps: int = 9,
    threads: int = 2,
    variants: list[str] = list(VARIANTS),  # noqa: B006
    name: str = "laa_net_steps",
) -> None:
    """Measure, print and record.

    Args:
        work: Folder for logs.
        trunk: Name of a timm EfficientNet.
        size: Side of the images.
        pairs: Number of real and fake pairs in a batch.
        steps: Per variant; the first three are not counted.
        threads: Number of arithmetic threads.
        variants: Which.
        name: Name of the recorded result.
    """
    result: dict[str, Any] = {"trunk": trunk, "size": size, "pairs": pairs, "steps": steps, "threads": threads}
    for variant in variants:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            try:
                result[variant] = pool.submit(measure_steps, variant, trunk, size, pairs, steps, threads, work).result()
            except TorchDynamoException as error:  # a compiler may be missing
                result[variant] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
        print(variant, result[variant], flush=True)
    print(record(name, result))


if __name__ == "__main__":
    auto_cli(laa_net_steps, as_positional=False)
