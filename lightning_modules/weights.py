"""Weights from files: those of another code under our names, and ours, where every key must fit."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from datamodules.errors import Refused


def renamed(
    state: Mapping[str, Tensor], rules: Sequence[tuple[re.Pattern[str], str]], wanted: Collection[str], what: str
) -> dict[str, Tensor]:
    """The state dict under our names, all of them and no other.

    Args:
        state: Of somebody else.
        rules: Pattern of a name there, and what stands for it here; the first that fits counts.
        wanted: Names here.
        what: Whose state dict it should be, for messages.
    """
    out = {}
    for name, value in state.items():
        found = next(((pattern, ours) for pattern, ours in rules if pattern.fullmatch(name)), None)
        ours = found[0].sub(found[1], name) if found else ""
        if ours not in wanted:
            raise Refused(f"{name}: no key of {what}")
        out[ours] = value
    if missing := sorted(name for name in wanted if name not in out):
        raise Refused(f"{missing[0]}: missing, and {len(missing) - 1} more")
    return out


def load(network: nn.Module, path: Path) -> None:
    """A file of ours, which must fit whole."""
    if not path.is_file():
        raise Refused(f"weights {path}: no such file")
    state = torch.load(path, map_location="cpu", weights_only=True)
    own = network.state_dict()
    names = [name for name in own if name not in state or state[name].shape != own[name].shape]
    if names := names + [name for name in state if name not in own]:
        raise Refused(f"weights {path}: {len(names)} keys do not fit, the first is {names[0]!r}")
    network.load_state_dict(state)
