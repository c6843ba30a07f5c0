"""What Lightning and our base class cost per training step over a bare PyTorch loop on the same model and batches."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import torch
from jsonargparse import auto_cli
from pytorch_lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from benchmarks.record import record
from callbacks.throughput import Throughput
from datamodules.batch import Batch
from lightning_modules.classifier import Classifier
from lightning_modules.training.csv_logger import History


def batch(size: int, side: int) -> Batch:
    g = torch.Generator().manual_seed(0)
    return Batch(
        frames=torch.rand(size, 1, 3, side, side, generator=g),
        label=torch.arange(size) % 2,
        mask=torch.zeros(size, 1, 1, side, side),
        has_mask=torch.ones(size, dtype=torch.bool),
        landmarks=torch.zeros(size, 1, 68, 2),
        has_landmarks=torch.zeros(size, dtype=torch.bool),
        video=[f"d/real/c23/{i}" for i in range(size)],
        track=torch.zeros(size, dtype=torch.long),
        numbers=torch.zeros(size, 1, dtype=torch.long),
        is_counted=torch.ones(size, dtype=torch.bool),
    )


class OneBatch(LightningDataModule):
    """The same batch again and again."""

    def __init__(self, one: Batch, steps: int) -> None:
        super().__init__()
        self.one, self.steps = one, steps

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader([self.one] * self.steps, batch_size=None)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)


def time_bare(method: Classifier, one: Batch, steps: int) -> float:
    optimizer = torch.optim.AdamW(method.net.parameters(), lr=1e-4)
    method.train()
    start = time.perf_counter()
    for _ in range(steps):
        loss = method.losses(method(one.frames), one)["label"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - start) / steps


class Clock(Throughput):
    """Ours, and the time of the whole epoch."""

    def on_train_start(self, *_: object) -> None:
        self.start = time.perf_counter()

    def on_train_end(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.start


def time_lightning(method: Classifier, one: Batch, steps: int, folder: Path) -> float:
    clock = Clock()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=History(folder, name="", version=""),
        callbacks=[clock],
        enable_progress_bar=True,
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=10,
    )
    trainer.fit(method, datamodule=OneBatch(one, steps))
    return clock.seconds / steps


def overhead(
    work: Path, backbone: str = "resnet18", batch_size: int = 16, side: int = 128, steps: int = 40, repeats: int = 5
) -> None:
    """Measure, print and record. The two take turns, and medians are compared: shared cores are noisy.

    Args:
        work: Folder for the log.
        backbone: Name of a timm model.
        batch_size: Samples.
        side: Side of the images in pixels.
        steps: Per repeat.
        repeats: Number of repeats of both.
    """
    one, method = batch(batch_size, side), Classifier(backbone)
    time_bare(method, one, 5)
    pairs = [(time_bare(method, one, steps), time_lightning(method, one, steps, work)) for _ in range(repeats)]
    ms = {name: [round(1000 * pair[i], 2) for pair in pairs] for i, name in enumerate(("bare_ms", "lightning_ms"))}
    extra = median(ms["lightning_ms"]) - median(ms["bare_ms"])
    result = {"backbone": backbone, "batch_size": batch_size, "side": side, "steps": steps, **ms}
    result |= {"extra_ms": round(extra, 2), "extra_share": round(extra / median(ms["bare_ms"]), 4)}
    print(result)
    print(record("overhead", result))


if __name__ == "__main__":
    auto_cli(overhead, as_positional=False)
