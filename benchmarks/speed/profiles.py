"""Where the time of a training step goes: operations, waits of the CPU for the device, and the largest ten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.fast import suite
from benchmarks.speed.presets import Preset
from lightning_modules.base import Method

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::item")


class StepProfile(Callback):
    """Records some steps of a training that runs already."""

    def __init__(self, first: int, steps: int) -> None:
        self.first, self.steps = first, steps
        self.recorder: Any = None

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == self.first:
            activities = [ProfilerActivity.CPU]
            if module.device.type == "cuda":
                activities.append(ProfilerActivity.CUDA)
            self.recorder = profile(activities=activities)
            self.recorder.__enter__()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, b: Any, batch_idx: int
    ) -> None:
        if batch_idx == self.first + self.steps - 1:
            if module.device.type == "cuda":
                torch.cuda.synchronize()
            self.recorder.__exit__(None, None, None)

    def summary(self) -> dict[str, Any]:
        # what carries a name alone, such as the step of an optimizer, has the times of what is in it
        averages = [event for event in self.recorder.key_averages() if not event.is_user_annotation]
        kernels = [event for event in averages if event.device_type != DeviceType.CPU]
        count = {event.key: event.count / self.steps for event in averages}
        largest = sorted(kernels, key=lambda event: -event.self_device_time_total)[:10]
        slowest = sorted(averages, key=lambda event: -event.self_cpu_time_total)[:10]
        return {
            "operations": round(sum(n for key, n in count.items() if key.startswith("aten::"))),
            "kernels": round(count.get("cudaLaunchKernel", 0) + count.get("cuLaunchKernelEx", 0)
                             + count.get("cudaLaunchKernelExC", 0) + count.get("cuLaunchKernel", 0)),
            "kernel_ms": round(sum(event.self_device_time_total for event in kernels) / 1000 / self.steps, 2),
            "waits": {key: round(count[key], 1) for key in WAITS if key in count},
            "reads": {key: round(count[key], 1) for key in READS if key in count},
            "copies": {key: round(n, 1) for key, n in count.items() if key.startswith(("Memcpy", "cudaMemcpyAsync"))},
            "largest_on_device_ms": {
                event.key[:80]: round(event.self_device_time_total / 1000 / self.steps, 3) for event in largest
            },
            "largest_on_cpu_ms": {
                event.key[:80]: round(event.self_cpu_time_total / 1000 / self.steps, 3) for event in slowest
            },
        }  # fmt: skip


def profile_steps(
    method: Method, preset: Preset, studio: Path, device: torch.device, precision: str, workers: int, steps: int = 3
) -> dict[str, Any]:
    recorder = StepProfile(4, steps)
    suite(method, preset, studio, device, precision, 3, workers, recorder)
    return recorder.summary()
