"""How fast training runs on a device: the suite's own loop, from stored crops on, beside a bare loop of the network."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from benchmarks.speed.faces import real_batch
from benchmarks.speed.presets import TINY_MAE, Preset
from datamodules.face_data import FaceData
from lightning_modules.base import Method
from lightning_modules.mae.method import Recover
from lightning_modules.mae.network import MAE
from lightning_modules.training.precision import GPUPrecision

AS_SHIPPED = "gpu"  # precision as configs/hardware/gpu.yaml has it: bfloat16, channels last, fused


class Events(Callback):
    """The end of each step on the device's own clock, without making it wait."""

    def __init__(self, warm_up: int, steps: int, device: torch.device) -> None:
        self.warm_up, self.steps, self.device = warm_up, steps, device
        self.ends: list[Any] = []

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        self.ends.append(mark(self.device))

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def milliseconds(self) -> list[float]:
        ends = self.ends[self.warm_up : self.warm_up + self.steps]
        return [span(a, b) for a, b in pairwise(ends)]


def mark(device: torch.device) -> Any:
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def span(a: Any, b: Any) -> float:
    """Milliseconds."""
    return 1000 * (b - a) if isinstance(a, float) else float(a.elapsed_time(b))


def time_bare(method: Method, preset: Preset, device: torch.device, precision: str, steps: int) -> dict[str, float]:
    """The network's passes and its optimizer on one batch that is on the device already."""
    pairs = 2 if "synthesis" in preset.data else 1
    batch = real_batch(min(16, pairs * preset.batch), preset.side, preset.clip)
    batch = batch.rows(torch.arange(pairs * preset.batch) % len(batch)).to(device)
    batch = replace(batch, framed="synthesis" in preset.data)
    method.train()
    if precision == AS_SHIPPED:
        method.to(memory_format=torch.channels_last)
    parameters = [p for p in method.parameters() if p.requires_grad]
    optimizer = method.optimizer(method.training_parameters())

    def backward() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision != "32-true"):
            losses = method.losses(method.predict(batch), batch)
        torch.stack([each.float() for each in losses.values()]).sum().backward()

    ends = []
    for _ in range(steps + 4):
        backward()
        if method.rho:
            moved: list[Any] = [p for p in parameters if p.grad is not None]
            with torch.no_grad():
                grads = [p.grad for p in moved]
                norm = torch.stack(list(torch._foreach_norm(grads))).norm()
                way: list[Any] = list(torch._foreach_mul(grads, method.rho / (norm + 1e-12)))
                torch._foreach_add_(moved, way)
            optimizer.zero_grad()
            backward()
            with torch.no_grad():
                torch._foreach_sub_(moved, way)
        optimizer.step()
        optimizer.zero_grad()
        ends.append(mark(device))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return {"ms": round(median(span(a, b) for a, b in pairwise(ends[4:])), 2)}


def suite(
    method: Method,
    preset: Preset,
    studio: Path,
    device: torch.device,
    precision: str,
    steps: int,
    workers: int,
    watched_by: Callback | None = None,
) -> dict[str, float]:
    """
    Args:
        watched_by: Another callback, in place of the times.
    """
    warm_up = 5
    total = warm_up + steps + 1
    arguments: dict[str, Any] = {
        "prepared": studio / preset.folder,
        "root": studio,
        "compression": "c23",
        "image_size": preset.side,
        "batch_size": preset.batch,
        "clip": preset.clip,
        "num_workers": workers,
        "clips_per_face": 1 + preset.batch * total,
    }
    data = FaceData(**(arguments | preset.data))
    events = Events(warm_up, steps, device)
    trainer = Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision=None if precision == AS_SHIPPED else precision,  # type: ignore[arg-type]
        plugins=[GPUPrecision()] if precision == AS_SHIPPED else None,
        max_steps=total,
        logger=False,
        callbacks=[events if watched_by is None else watched_by],
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        limit_val_batches=0,
        use_distributed_sampler=False,
    )
    trainer.fit(method, datamodule=data)
    if watched_by is not None:
        return {}
    ms = median(events.milliseconds())
    samples = preset.batch * (2 if "synthesis" in preset.data else 1)
    return {"ms": round(ms, 2), "samples_per_s": round(1000 * samples / ms, 1)}


@contextmanager
def measured_memory(device: torch.device, out: dict[str, Any]) -> Iterator[None]:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    yield
    if device.type == "cuda":
        out["gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)


def write_generator(folder: Path, generator: MAE) -> Path:
    """A checkpoint of a generator that has learnt nothing: time does not depend on it."""
    path = folder / f"generator_{generator.width}.ckpt"
    torch.save({"state_dict": Recover(generator).state_dict()}, path)
    return path


def build(preset: Preset, folder: Path, tiny: bool) -> Method:
    if not preset.needs_generator:
        return preset.build()
    return preset.build(generator=write_generator(folder, MAE(**TINY_MAE) if tiny else MAE()))


def measure(
    preset: Preset, studio: Path, device: torch.device, precision: str, steps: int, workers: int, tiny: bool
) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {"precision": precision, "batch": preset.batch}
    try:
        alone: dict[str, Any] = {}
        with measured_memory(device, alone):
            alone |= time_bare(build(preset, studio, tiny).to(device), preset, device, precision, steps)
        row["bare"] = alone
        whole: dict[str, Any] = {}
        with measured_memory(device, whole):
            whole |= suite(build(preset, studio, tiny), preset, studio, device, precision, steps, workers)
        row["suite"] = whole
        row["suite_over_bare"] = round(whole["ms"] / alone["ms"], 3)
    except torch.OutOfMemoryError:
        row["error"] = "out of memory"
    return row
