"""Several syntheses in one training: each face is forged by one of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from datamodules.synthesis.base import COARSER, Blend, Synthesis
from datamodules.synthesis.framing import Framing

SHARED = ("size", "flip", "distort", "crop", "rescale", "erase", "compat")


class Mixture(Synthesis):
    """Draws for each face which of several syntheses forges it."""

    def __init__(self, parts: list[Synthesis], weights: list[float] | None = None, **kwargs: Any) -> None:
        """
        Args:
            parts: The syntheses; what they share (see Synthesis) is that of the whole.
            weights: How often each is drawn, over the sum of all; equally often without it.
            **kwargs: See Synthesis.
        """
        super().__init__(**kwargs)
        weights = [1.0] * len(parts) if weights is None else weights
        if not parts or len(weights) != len(parts) or min(weights) <= 0:
            raise UserError(f"weights {weights}: must be {len(parts)} numbers above 0, one for each of parts")
        self.parts, self.weights = nn.ModuleList(parts), torch.tensor(weights)
        self.neighbours = max(part.neighbours for part in parts)
        self.candidates = max(part.candidates for part in parts)
        for part in parts:
            for name in SHARED:
                setattr(part, name, getattr(self, name))

    @property
    def framing(self) -> Framing:
        return self.members[0].framing

    @framing.setter
    def framing(self, framing: Framing) -> None:
        for part in self.members:
            part.framing = framing

    @property
    def makers(self) -> list[str]:
        return sorted({name for part in self.members for name in part.makers})

    @property
    def members(self) -> list[Synthesis]:
        return [part for part in self.parts if isinstance(part, Synthesis)]

    def blend(self, faces: Tensor, landmarks: Tensor) -> Blend:
        b, (height, width) = len(faces), faces.shape[-2:]
        high, wide = self.sizes(height, width)[0]
        out = Blend(
            pairs=faces.new_empty(b, 2, 3, high, wide, dtype=torch.uint8),
            mask=faces.new_empty(b, 1, high, wide),
            boundary=faces.new_empty(b, 1, high // COARSER, wide // COARSER, dtype=torch.uint8),
        )
        which = torch.multinomial(self.weights, b, replacement=True)
        for i, part in enumerate(self.members):
            rows = (which == i).nonzero().flatten().to(faces.device)
            if not len(rows):
                continue
            k = 2 if part.neighbours else 1  # a face, and its source where one is needed
            blend = part.blend(faces[rows, :k], landmarks[rows, :k])
            out.pairs[rows], out.mask[rows], out.boundary[rows] = blend.pairs, blend.mask, blend.boundary
        return out
