"""Networks in TFLite's format, run by OpenCV on the CPU."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.faces.detection import Floats

MODELS = Path(__file__).parent / "models"


def run(name: str, images: NDArray[np.float32], outputs: Sequence[str]) -> list[Floats]:
    """
    Args:
        name: Of the file in ``models``.
        images: (1, 3, H, W) as the network wants them.
        outputs: Names of layers.
    """
    net, lock = load(name, os.getpid())
    with lock:
        net.setInput(images)
        return [np.asarray(output, np.float32) for output in net.forward(list(outputs))]


@functools.cache
def load(name: str, process: int) -> tuple[Any, Lock]:
    """A network and who may use it; one for each process, since none survives a fork for sure.

    Args:
        process: Its number.
    """
    path = str(MODELS / name)
    if cv2.__version__.startswith("4."):  # has one engine, and no word for it
        return cv2.dnn.readNetFromTFLite(path), Lock()
    return cv2.dnn.readNetFromTFLite(path, engine=cv2.dnn.ENGINE_CLASSIC), Lock()  # the new engine gives one output


@functools.cache
def fingerprint(name: str) -> str:
    return blake2b((MODELS / name).read_bytes(), digest_size=8).hexdigest()
