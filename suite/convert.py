"""The verb that turns the authors' checkpoints into weights of ours."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

import lightning_modules
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError
from lightning_modules.weights import read
from suite.cli.parser import Parser
from suite.cli.suggest import suggest, suggest_file


def convert(method: str, file: Path, out: Path | None = None) -> None:
    """Rename the tensors of an official checkpoint; whatever does not belong to the method is refused by name.

    Args:
        method: Method of the checkpoint, a folder of lightning_modules with a convert.py; mae is a masked autoencoder
            alone, of RFFR or of MAE.
        file: The checkpoint; nothing in it but tensors and plain values is read.
        out: File to write, for '--model.weights', or what is said to be its use; FILE with the ending .ours.pt without
            it.
    """
    known = find_convertible()
    if method not in known:
        raise UserError(f"method {method!r}: must be one of {', '.join(known)}{suggest(method, known)}")
    state = tensors(file)
    module = vars(import_module(f"lightning_modules.{method}.convert"))
    if "convert_released" in module:  # of a method of ours that is built as the file says
        released = module["convert_released"](state, file)
        converted, rest, use = released.state, released.rest, released.use
    else:
        converted, rest, use = module["convert_reference"](state), {}, ""
    ours = {name: value.float() if value.is_floating_point() else value for name, value in converted.items()}
    path = out or file.with_name(f"{file.name}.ours.pt")
    with write_atomically(path) as part:
        torch.save({"state_dict": ours, **rest} if rest else ours, part)
    print(f"{path}: {len(ours)} tensors of {len(state)}{use}")


def find_convertible() -> list[str]:
    """Methods whose authors published weights."""
    return sorted(path.parent.name for path in Path(lightning_modules.__path__[0]).glob("*/convert.py"))


def tensors(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise UserError(f"{file}: no such file" + suggest_file(str(file)))
    content = read(file, "checkpoint")
    state = content.get("state_dict", content.get("model", content)) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{file}: holds no state dict of tensors")
    return dict(state)


def main(argv: list[str]) -> None:
    auto_cli(convert, args=argv[1:], as_positional=True, parser_class=Parser, prog="python -m suite convert")
