"""Deterministic weights and inputs of recorded outputs, and how far an array of ours is from a recorded one."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TOLERANCE = 1e-6
Arrays = Mapping[str, NDArray[np.float64]]
Keys = Mapping[str, list[int]]


def fill(name: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """The value of a tensor follows from its name and shape, so that no checkpoint is needed."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return rng.uniform(0.8, 1.2, shape)
    if name.endswith("running_mean") or (len(shape) <= 1 and not name.endswith("weight")):
        return np.asarray(rng.normal(0.0, 0.05, shape))
    if len(shape) == 1:
        return rng.uniform(0.9, 1.1, shape)
    return np.asarray(rng.normal(0.0, 1.0 / np.sqrt(np.prod(shape[1:])), shape))


def filled(keys: Keys) -> dict[str, Tensor]:
    return {name: torch.from_numpy(fill(name, tuple(shape))) for name, shape in keys.items()}


def uniform(seed: int, shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).uniform(low, high, shape))


def mirror_if(mirrored: bool, inputs: Tensor) -> Tensor:
    return inputs.flip(-1) if mirrored else inputs


def difference(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of two classes, as one logit: what the soft-max of both is the sigmoid of."""
    return logits[:, 1] - logits[:, 0]


def as_ours(recorded: Arrays) -> dict[str, NDArray[np.float64]]:
    """The recorded arrays of a network of two classes, as our network of one logit gives them."""
    return {name: difference(value) if name.startswith("logits") else value for name, value in recorded.items()}


def errors(ours: Mapping[str, Tensor], recorded: Arrays) -> dict[str, float]:
    """Largest difference of each array over its largest magnitude; infinite where an array is absent."""
    out = {}
    for name, theirs in recorded.items():
        mine = ours.get(name)
        same = mine is not None and tuple(mine.shape) == theirs.shape
        out[name] = float(np.abs(mine.numpy() - theirs).max() / np.abs(theirs).max()) if same else float("inf")  # type: ignore[union-attr]
    return out
