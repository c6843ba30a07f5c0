"""What FakeSTormer is taught of a blended clip: where its blend changes, and how forged what is left of a frame is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


@dataclass(kw_only=True)
class StormTargets:
    kept: Tensor  # (N, h, w) bool: cells that are not hidden, the same in all frames
    temporal: Tensor  # (N, T)
    heat: Tensor  # (N, T, h, w)


def to_cells(boundary: Tensor, grid: int) -> Tensor:
    """(N, T, 1, H, W) bytes to (N, T, grid, grid) in [0, 1], as many levels as bytes have."""
    cells = F.interpolate(boundary[:, :, 0].float(), (grid, grid), mode="area")
    return cells.round() / 255


def draw_kept(cells: Tensor, hidden: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Which cells of forged clips are kept, (N, h, w), and which clips have hidden ones, (N,).

    Args:
        cells: (N, T, h, w) of forged clips.
        hidden: Probability that the most vulnerable cells of a clip are hidden.
    """
    n, _, h, w = cells.shape
    strongest = cells.amax(1).flatten(1).cpu()  # over frames: what is hidden is hidden in all of them
    is_hidden = torch.rand(n, generator=generator) < hidden
    levels = 0.5 + 0.5 * torch.rand(n, generator=generator)
    kept = torch.ones(n, h * w, dtype=torch.bool)
    for i in is_hidden.nonzero().flatten().tolist():
        level = torch.minimum(levels[i], strongest[i].max())
        below = strongest[i][strongest[i] < level]
        kept[i] = strongest[i] <= (below.max() if len(below) else level)
        quiet = kept[i].nonzero().flatten()  # one more, so that being hidden says nothing
        if len(quiet):
            kept[i, quiet[int(torch.randint(len(quiet), (), generator=generator))]] = False
    return kept.view(n, h, w).to(cells.device), is_hidden.to(cells.device)


def standardize(cells: Tensor) -> Tensor:
    """Changes from frame to frame of forged clips and then of the real ones they were made from, (2 N, T, h, w).

    Args:
        cells: (N, T, h, w) of forged clips.
    """
    change = torch.zeros_like(cells)
    change[:, 1:] = (cells[:, 1:] - cells[:, :-1]).abs()
    known = change[:, 1:].flatten(1)
    mean, std = (x[:, None, None, None] for x in (known.mean(1), known.std(1, correction=0)))
    both = torch.cat([torch.zeros_like(change), change]) - mean.repeat(2, 1, 1, 1)
    scale = torch.where(std > 0, 1 / std.clamp(min=1e-12), 0.0)
    return both * scale.repeat(2, 1, 1, 1)


def encode(boundary: Tensor, grid: int, hidden: float, generator: Generator) -> StormTargets:
    """Of real clips and then the forged ones made from them.

    Args:
        boundary: (2 N, T, 1, H, W) bytes, nothing of the real ones.
        grid: Patches on a side.
    """
    cells = to_cells(boundary[len(boundary) // 2 :], grid)
    kept, is_hidden = draw_kept(cells, hidden, generator)
    left = (cells * kept[:, None]).flatten(2).amax(2)  # (N, T)
    forged = torch.where(is_hidden[:, None], left, torch.ones_like(left))
    return StormTargets(
        kept=kept.repeat(2, 1, 1),  # of the real clip too: else what is hidden would be the label
        temporal=torch.cat([torch.zeros_like(forged), forged]),
        heat=standardize(cells),
    )
