"""A method as one network, from pixels to what it says: what other engines run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from datamodules.batch import POINTS, Batch
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError
from lightning_modules.metrics.calibration import Calibration
from lightning_modules.metrics.functional import MOST_ODDS
from lightning_modules.trained_method import Trained
from suite.export.formats.base import Format, Unsupported

OUTPUTS = ["log_odds", "score", "probability", "mask"]  # log_odds: a value inside may be called logit


class Deployed(nn.Module):
    """Normalizes, predicts and calibrates."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.method = trained.method
        self.slope, self.bias = trained.calibration or Calibration(slope=1.0, bias=0.0)

    def forward(self, frames: Tensor, landmarks: Tensor | None = None) -> tuple[Tensor, ...]:
        """Log odds, score and probability, (B,) each, and the mask (B, T, 1, H, W) of methods that localize.

        Args:
            frames: (B, T, 3, H, W) in [0, 1].
            landmarks: (B, T, 68, 2) in pixels, for methods that need them.
        """
        b, t = frames.shape[:2]
        batch = Batch(
            frames=frames,
            label=frames.new_zeros(b, dtype=torch.long),
            mask=torch.zeros_like(frames[:, :, :1]),
            has_mask=frames.new_zeros(b, dtype=torch.bool),
            landmarks=frames.new_zeros(b, t, POINTS, 2) if landmarks is None else landmarks,
            has_landmarks=frames.new_full((b,), landmarks is not None, dtype=torch.bool),
            video=[],
            track=frames.new_zeros(b, dtype=torch.long),
            numbers=frames.new_zeros(b, t, dtype=torch.long),
            is_counted=frames.new_ones(b, dtype=torch.bool),
        )
        prediction = self.method.predict(batch)
        logit = prediction.logit.float()
        sure = logit.clamp(-MOST_ODDS, MOST_ODDS)  # as calibration takes them of a score
        out = [logit, logit.sigmoid(), (self.slope * sure + self.bias).sigmoid()]
        if prediction.mask_logit is not None and self.method.exports_map:
            out.append(prediction.mask_logit.float().sigmoid())
        return tuple(out)


def example(trained: Trained, batch: int) -> tuple[Tensor, ...]:
    """Coarse and fine noise, with landmarks spread over it."""
    generator = torch.Generator().manual_seed(0)
    size, clip = int(trained.contract["size"]), int(trained.contract["clip"])
    coarse = torch.rand(batch * clip, 3, 6, 6, generator=generator)
    fine = torch.rand(batch, clip, 3, size, size, generator=generator)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic").view_as(fine)
    frames = (smooth + 0.2 * (fine - 0.5)).clamp(0, 1)
    if not trained.method.needs_landmarks:
        return (frames,)
    return frames, size * (0.2 + 0.6 * torch.rand(batch, clip, POINTS, 2, generator=generator))


def trace(trained: Trained) -> ExportedProgram:
    """The network, for any number of faces at a time."""
    network, inputs = Deployed(trained).eval().cpu(), example(trained, 2)
    shapes = {name: {0: torch.export.Dim("batch")} for name in list_inputs(trained)}
    try:
        with torch.no_grad():
            network(*inputs)  # what is drawn but once is drawn here, and no part of the program
            return torch.export.export(network, inputs, dynamic_shapes=shapes)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UserError(f"{describe(trained)} cannot be exported: {str(error).strip().splitlines()[0]}") from error


def write(trained: Trained, program: ExportedProgram, format: Format, out: Path) -> Path:
    """
    Args:
        program: What ``trace`` made of it.
    """
    path = out / format.file
    try:
        with write_atomically(path) as part:
            format.write(program, part, list_inputs(trained), OUTPUTS[: len(program.graph_signature.user_outputs)])
    except Unsupported as error:
        what = f"{describe(trained)} has operations that {type(format).__name__} lacks"
        raise UserError(f"{what}; use --format torch.export") from error
    return path


def list_inputs(trained: Trained) -> list[str]:
    return ["frames", "landmarks"][: len(example(trained, 1))]


def describe(trained: Trained) -> str:
    return f"{trained.path}: {type(trained.method).__name__}"
