"""A trained method as a folder of the Hugging Face hub: its weights, and all else that ``load`` needs."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import save_file

from datamodules.prepared.trained_on import write_seen
from datamodules.runtime.atomic_files import write_atomically, write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import shorten
from lightning_modules.own_validation import KEY as OWN_VALIDATION
from lightning_modules.trained_method import CONFIG, FAMILIARITY, WEIGHTS, Trained
from lightning_modules.weights import digest


def round_to_half(trained: Trained) -> Trained:
    """A copy with parameters that half precision can hold."""
    method = deepcopy(trained.method)
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            parameter.copy_(parameter.half())
            if not parameter.isfinite().all():
                raise UserError(f"{trained.path}: {name} has values above 65504, the largest of half precision")
    return replace(trained, method=method, digest=digest(method.state_dict()))


def save(trained: Trained, folder: Path, half: bool = False) -> None:
    """As the Hugging Face hub has it: the weights, and all else that 'load' needs.

    Args:
        half: Write parameters in half precision, to which they are rounded already.
    """
    thresholds = {
        name: asdict(one) for name, one in trained.describe_thresholds().items()
    }  # or a refusal, before anything is written
    state = {name: value.detach().cpu().contiguous().clone() for name, value in trained.method.state_dict().items()}
    if half:
        state |= {name: state[name].half() for name, _ in trained.method.named_parameters()}
    with write_atomically(folder / WEIGHTS) as part:
        save_file(state, part, {"format": "pt"})
    metadata: dict[str, Any] = {"library_name": "deepfake-suite", "model": trained.model, "contract": trained.contract}
    metadata |= {"stored": trained.stored, "trained_on": trained.trained_on, "weights": trained.digest}
    if (familiarity := trained.method.familiarity) is not None:
        with write_atomically(folder / FAMILIARITY) as part:
            save_file(familiarity.state(), part, {"format": "pt"})
        metadata["familiarity"] = digest(familiarity.state())
    metadata |= {"thresholds": thresholds} | ({"seen": write_seen(trained.seen)} if trained.seen else {})
    metadata[OWN_VALIDATION] = trained.method.validated
    write_text(folder / CONFIG, json.dumps(metadata, indent=1) + "\n")


def fetch(name: str | Path) -> Path:
    """Where 'load' finds it.

    Args:
        name: Path that 'load' takes, or the name of a repository on the Hugging Face hub that has such a folder.
    """
    path = Path(name)
    if not path.exists() and len(path.parts) == 2:
        try:
            path = Path(snapshot_download(str(name), allow_patterns=[CONFIG, WEIGHTS, FAMILIARITY]))
        except (OSError, ValueError) as error:  # mistyped, private, or there is no network
            raise UserError(
                f"{name}: is no folder here, and cannot be had from the Hugging Face hub ({shorten(error)})"
            ) from error
    return path
