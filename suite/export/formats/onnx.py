"""ONNX, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from suite.export.formats.base import Format, Run, Unsupported


class ONNX(Format):
    name, file = "onnx", "model.onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")

    def write(self, program: ExportedProgram, path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        shapes = {name: {0: torch.export.Dim("batch")} for name in inputs}
        try:
            made = torch.onnx.export(
                program,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise Unsupported(str(error)) from error
        assert made is not None
        made.save(path, external_data=False)

    def load(self, path: Path) -> Run:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_inputs()]
        return lambda *inputs: session.run(None, {n: t.numpy() for n, t in zip(names, inputs, strict=True)})
