"""Weights from files: those of another code under our names, and ours, where every key must fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import check_kind, shorten, show

MORE_THAN_VALUES = ("Unsupported global", "Unsupported class", "Trying to", "Can only")  # of torch's refusals
OF_CHECKPOINT = {"state_dict": dict, "epoch": int, "global_step": int}
FROM_FILES = (
    "weights",
    "generator_weights",
    "trunk_weights",
    "adapter_weights",
)  # arguments of methods; a checkpoint has all of them


class Released(nn.Module):
    """Can work as released code does, and its state says whether it does."""

    compat: bool

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.compat)

    def set_extra_state(self, state: Tensor) -> None:
        self.compat = bool(state)


def strip_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without what a network that was trained on several GPUs has before its names."""
    return {name.removeprefix("module."): value for name, value in state.items()}


def rename_state(
    state: Mapping[str, Tensor],
    rules: Mapping[str, str],
    network: Callable[[], nn.Module],
    what: str,
    but: str | None = None,
) -> dict[str, Tensor]:
    """The state dict under our names, all of them and no other, marked as that of released code.

    Args:
        state: Of somebody else.
        rules: Pattern of a name there, and what stands for it here; the first that fits counts.
        network: Ours, as it is released.
        what: Whose state dict it should be, for messages.
        but: Start of our names that may be missing.
    """
    with torch.device("meta"):  # names alone, no memory
        wanted = network().state_dict().keys()
    out = {name: torch.tensor(True) for name in wanted if name.endswith("_extra_state")}
    patterns = [(re.compile(theirs), ours) for theirs, ours in rules.items()]
    tensors = wanted - out.keys()
    for name, value in state.items():
        found = next(((pattern, ours) for pattern, ours in patterns if pattern.fullmatch(name)), None)
        ours = found[0].sub(found[1], name) if found else ""
        if ours not in tensors:
            raise UserError(f"{name}: no key of {what}")
        out[ours] = value
    if missing := sorted(name for name in wanted - out.keys() if but is None or not name.startswith(but)):
        raise UserError(f"{missing[0]}: missing, and {len(missing) - 1} more")
    return out


def read(path: Path, what: str = "weights", map_location: Any = "cpu") -> dict[str, Any]:
    """A file of weights: nothing in it but tensors and plain values is read, and nothing that has changed.

    Args:
        what: It is, for messages.
    """
    if not path.is_file():
        raise UserError(f"{what} {path}: no such file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        check_sums(path)
        content: Any = torch.load(path, map_location=map_location, weights_only=True)
    except OSError as error:
        raise UserError(f"{what} {path}: {error.strerror or shorten(error)}") from error
    except Exception as error:  # a format of several libraries, each with exceptions of its own for what is damaged
        if isinstance(error, UnpicklingError) and any(word in str(error) for word in MORE_THAN_VALUES):
            raise UserError(f"{what} {path}: holds more than tensors and plain values, which is refused") from error
        raise UserError(f"{what} {path}: is damaged, or no such file ({shorten(error)})") from error
    return check_kind(content, dict, f"{what} {path}")


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """A checkpoint of a training, not only weights."""
    content = read(path, "checkpoint", map_location)
    for name, kind in OF_CHECKPOINT.items():
        if not isinstance(content.get(name), kind):
            found = show(content[name]) if name in content else "missing"
            raise UserError(f"checkpoint {path}: is no checkpoint of a training: {name!r} is {found}")
    check_state(content["state_dict"], path)
    return content


def check_state(state: Any, path: Path) -> None:
    for name, value in check_kind(state, dict, path).items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(f"{path}: {show(name)}: must be the name of a tensor, is that of {show(value)}")


def check_sums(path: Path) -> None:
    """torch writes a checksum of each tensor and never looks at it; files of before 2020 have none."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            if (bad := archive.testzip()) is not None:
                raise BadZipFile(f"the checksum of {bad} is not that of what was written")


def load(network: nn.Module, path: Path) -> None:
    """A file of ours, which must fit whole."""
    fill(network, read(path), path)


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    own = network.state_dict()
    names = [name for name in own if name not in state or state[name].shape != own[name].shape]
    if names := names + [name for name in state if name not in own]:
        raise UserError(f"weights {path}: {len(names)} keys do not fit, the first is {names[0]!r}")
    network.load_state_dict(state)


def digest(state: Mapping[str, Tensor]) -> str:
    """Of names and values, whatever file they are in."""
    found = blake2b(digest_size=8)
    for name, value in sorted(state.items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
