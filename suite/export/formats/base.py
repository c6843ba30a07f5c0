"""What a format of networks must have; a file of this folder that has one is found by its name."""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch.export import ExportedProgram

Run = Callable[..., list[np.ndarray[Any, Any]]]  # of frames, and of landmarks where the method needs them


class Format(ABC):
    """A network as one file, and the engine that runs it."""

    name: ClassVar[str]  # for --format
    file: ClassVar[str]  # its name in the exported folder
    packages: ClassVar[tuple[str, ...]] = ()  # besides the suite's own

    @abstractmethod
    def write(self, program: ExportedProgram, path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Raises Unsupported where the format lacks an operation.

        Args:
            program: The network, for any number of faces.
            path: File to write.
            inputs: Names of its inputs.
            outputs: Names of its outputs.
        """

    @abstractmethod
    def load(self, path: Path) -> Run:
        """A function of the network that a file holds."""


class Unsupported(Exception):
    """An operation that a format lacks."""


def find_formats() -> dict[str, Format]:
    """By name."""
    package = import_module(__package__ or "")
    modules = [import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    formats = [kind() for kind in dict.fromkeys(classes) if issubclass(kind, Format) and kind is not Format]
    return {one.name: one for one in formats}
