"""Ten minutes that say whether everything is right on a GPU, how fast it is, and where the time goes.

A stage whose file is in ``out`` already is passed over; benchmarks/speed/gpu.sh says how to bring what a machine
without a network lacks.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse import auto_cli

from benchmarks.record import record
from benchmarks.speed import decode, fast, learn, profiles, right
from benchmarks.speed.presets import Preset, presets
from benchmarks.speed.watched_rows import measure_rows

Stage = Literal["right", "studio", "fast", "profile", "decode", "learn", "detect"]
STAGES: list[Stage] = ["right", "studio", "fast", "profile", "decode", "learn", "detect"]


def gpu(
    out: Path,
    work: Path,
    stages: list[Stage] = STAGES,
    device: str = "cuda",
    tiny: bool = False,
    precision: str = fast.AS_SHIPPED,
    steps: int = 15,
    workers: int = 12,
    wanted: list[str] = [],  # noqa: B006
    minutes: float = 3.0,
    trunk: Path | None = None,
    seconds: float = 60.0,
    row_seconds: float = 90.0,
    people: Literal["tiny", "small"] = "small",
) -> None:
    """Measure, print, and keep each stage as data.

    Args:
        out: Folder of the results, a file for each stage.
        work: Folder of what is made on the way.
        stages: In this order.
        device: Whose results and times are wanted; cpu shows that the script itself runs.
        tiny: Networks and images small enough for a test.
        precision: Precision of the timed trainings: gpu is that of configs/hardware/gpu.yaml; or a name of Lightning's.
        steps: Timed ones.
        workers: Loader processes.
        wanted: Rows of the table of times that begin with one of these; all without any.
        minutes: Length of the real training.
        trunk: State dict of tf_efficientnet_lite0 to start that training from; random weights without it.
        seconds: Length of the video that is scored.
        row_seconds: Time that one row of a table may take.
        people: Size of the studio that is rendered.
    """
    torch.set_float32_matmul_precision("high")
    place, studio, run = torch.device(device), work / "studio", work / "run"
    work.mkdir(parents=True, exist_ok=True)

    rows = {name: preset for name, preset in presets(tiny).items() if not wanted or name.startswith(tuple(wanted))}

    def time_rows() -> dict[str, Any]:
        measure = functools.partial(
            fast.measure, studio=studio, device=place, precision=precision, steps=steps, workers=workers, tiny=tiny
        )
        each = {name: functools.partial(measure, preset=preset) for name, preset in rows.items()}
        return measure_rows("gpu_fast", each, out, row_seconds)

    def profile_rows() -> dict[str, Any]:
        def profile(preset: Preset) -> dict[str, Any]:
            method = fast.build(preset, studio, tiny)
            return profiles.profile_steps(method, preset, studio, place, precision, workers)

        each = {name: functools.partial(profile, preset) for name, preset in rows.items()}
        return measure_rows("gpu_profile", each, out, row_seconds)

    def person() -> Path:
        return min(studio.glob("original_sequences/*/c23/videos/*.mp4"))

    what: dict[Stage, Callable[[], Any]] = {
        "right": lambda: right.check(device, tiny, wanted),
        "studio": lambda: learn.make_studio(studio, people, 64 if tiny else 256, workers or 2),
        "fast": time_rows,
        "profile": profile_rows,
        "decode": lambda: decode.frames_per_second(person(), work, place, 1 if tiny else 10),
        "learn": lambda: learn.train(studio, run, trunk, minutes, workers, small_options() if tiny else gpu_options()),
        "detect": lambda: decode.detect(run / "checkpoints" / "last.ckpt", person(), work, place, seconds),
    }
    for stage in stages:
        if (out / f"gpu_{stage}.json").exists():
            continue
        start = time.perf_counter()
        print(f"== {stage}", flush=True)
        try:
            result = what[stage]()
        except Exception as failure:  # the other stages are worth their time all the same
            print(f"== {stage}: {type(failure).__name__}: {failure}", flush=True)
            continue
        record(f"gpu_{stage}", {"seconds": round(time.perf_counter() - start, 1)} | result, out)
        print(f"== {stage}: {time.perf_counter() - start:.1f} s", flush=True)


def gpu_options() -> list[str]:
    return [
        "--data.image_size", "256", "--data.synthesis.init_args.size", "256", "--data.batch_size", "32",
        "--data.clips_per_face", "64", "--trainer.precision", "bf16-mixed", "--model.rho", "0",
        "--model.optimizer", "torch.optim.AdamW",
        "--model.optimizer.lr", "5e-4", "--model.optimizer.weight_decay", "0.02",
        "--model.scheduler.init_args.epochs", "30", "--trainer.max_epochs", "30",
    ]  # fmt: skip


def small_options() -> list[str]:
    return [
        "--model.backbone", "test_efficientnet", "--data.image_size", "64", "--data.synthesis.init_args.size", "64",
        "--data.batch_size", "4", "--data.eval_clips", "2", "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu",
        "--trainer.limit_train_batches", "2",
    ]  # fmt: skip


if __name__ == "__main__":
    auto_cli(gpu, as_positional=False)
