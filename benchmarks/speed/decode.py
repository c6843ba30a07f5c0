"""Frames per second of each decoder that is there, on ten seconds of 720p; and what scoring a minute costs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from subprocess import run
from typing import Any

import torch

from benchmarks.speed.detect import FPS, render_frames
from datamodules.media.encode import write
from datamodules.media.video import Decoder, Decord, PyAV, TorchCodec


def decoders(device: torch.device) -> dict[str, Decoder]:
    found: dict[str, Decoder] = {
        "decord": Decord(),
        "PyAV": PyAV(),
        "PyAV, all cores": PyAV(num_threads=0),
        "torchcodec": TorchCodec(),
    }
    if device.type == "cuda":
        found["torchcodec on the GPU"] = TorchCodec(device="cuda:0")
    return found


def frames_per_second(source: Path, folder: Path, device: torch.device, seconds: float) -> dict[str, Any]:
    """
    Args:
        source: A video of one person.
    """
    path = folder / "decoded.mp4"
    write(path, render_frames(source, seconds), FPS, 23)
    out: dict[str, Any] = {}
    for name, decoder in decoders(device).items():
        try:
            start, count = time.perf_counter(), sum(1 for _ in decoder.stream(path))
            if decoder.device.type == "cuda":
                torch.cuda.synchronize()
            out[name] = round(count / (time.perf_counter() - start), 1)
        except Exception as failure:  # each is optional
            out[name] = f"{type(failure).__name__}: {failure}"[:200]
        print(name, out[name], flush=True)
    return out


def detect(checkpoint: Path, source: Path, folder: Path, device: torch.device, seconds: float) -> dict[str, Any]:
    """Wall seconds of the command on one video, with and without its annotated copy."""
    path = folder / "detected.mp4"
    write(path, render_frames(source, seconds), FPS, 23, preset="ultrafast")
    out: dict[str, Any] = {"seconds_of_video": seconds}
    for name, drawn in (("verdict", "false"), ("verdict and video", "true")):
        command = [sys.executable, "-m", "suite", "detect", str(path), "--checkpoint", str(checkpoint)]
        command += ["--out", str(folder / "detected"), "--annotated_copy", drawn, "--device", device.type]
        start = time.perf_counter()
        done = run(command, capture_output=True, text=True)
        out[name] = round(time.perf_counter() - start, 1) if done.returncode == 0 else done.stderr[-300:]
    return out
