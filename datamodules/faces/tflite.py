"""Networks in TFLite's format, run on the CPU by LiteRT."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.detection.base import Floats

MODELS = Path(__file__).parent / "models"
STDERR = 2


def run(name: str, images: NDArray[np.float32], outputs: Sequence[str]) -> list[Floats]:
    """
    Args:
        name: Name of the file in ``models``.
        images: (1, H, W, 3) as the network wants them.
        outputs: Names of tensors.
    """
    interpreter, lock = load(name, os.getpid())
    number = {one["name"]: one["index"] for one in interpreter.get_output_details()}
    with lock:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
        interpreter.invoke()
        return [interpreter.get_tensor(number[output]) for output in outputs]


@functools.cache
def load(name: str, process: int) -> tuple[Any, Lock]:
    """A network and who may use it; one for each process, since none survives a fork for sure.

    Args:
        process: Process id.
    """
    from ai_edge_litert.interpreter import Interpreter

    with silence_notes():
        interpreter = Interpreter(model_path=str(MODELS / name), num_threads=1)
        interpreter.allocate_tensors()
    return interpreter, Lock()


@contextmanager
def silence_notes() -> Iterator[None]:
    """LiteRT tells every process, past Python, which instructions it will use; its errors are exceptions."""
    kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STDERR)
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)


@functools.cache
def fingerprint(name: str) -> str:
    return blake2b((MODELS / name).read_bytes(), digest_size=8).hexdigest()
