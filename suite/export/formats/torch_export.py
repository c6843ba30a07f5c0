"""The program of torch.export, run by PyTorch without the suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from suite.export.formats.base import Format, Run


class TorchExport(Format):
    name, file = "torch.export", "model.pt2"

    def write(self, program: ExportedProgram, path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        with path.open("wb") as f:  # a path must end in .pt2
            torch.export.save(program, f)

    def load(self, path: Path) -> Run:
        module = torch.export.load(path).module()
        return lambda *inputs: [out.detach().numpy() for out in module(*inputs)]
