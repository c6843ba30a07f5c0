"""A part of a face enlarged, reduced or moved, as retouching does it: no pixel comes from elsewhere."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from datamodules.augment.drawn_numbers import move
from datamodules.augment.photometric import draw_between, draw_flags
from datamodules.synthesis.base import Blend, Synthesis
from datamodules.synthesis.hull import GROUPS, PARTS, check_names
from datamodules.synthesis.resize import pixel_places, sample_places


class Warp(Synthesis):
    """Warps a disc around a part of the face; the face outside it stays as it is."""

    def __init__(
        self,
        parts: tuple[str, ...] = PARTS,
        reach: tuple[float, float] = (0.5, 0.9),
        zoom: tuple[float, float] = (0.15, 0.4),
        shift: tuple[float, float] = (0.06, 0.18),
        **kwargs: Any,
    ) -> None:
        """
        Args:
            parts: Parts of which one is drawn: left eye, right eye, eyes, nose, mouth.
            reach: Smallest and largest radius of the disc, over the extent of the part.
            zoom: Smallest and largest change of size at its centre.
            shift: Smallest and largest shift at its centre, over the radius; each part is either zoomed or shifted.
            **kwargs: See Synthesis.
        """
        super().__init__(**kwargs)
        check_names("parts", parts, PARTS)
        self.parts, self.reach, self.zoom, self.shift = parts, reach, zoom, shift

    def blend(self, faces: Tensor, landmarks: Tensor) -> Blend:
        shown = faces[:, 0]
        b, _, h, w = shown.shape
        names = [self.parts[i] for i in torch.randint(len(self.parts), (b,)).tolist()]
        part = [landmarks[i, 0, sorted({j for group in GROUPS[name] for j in group})] for i, name in enumerate(names)]
        centre = torch.stack([points.mean(0) for points in part])
        extent = torch.stack([(points.amax(0) - points.amin(0)).amax() for points in part])
        is_zoomed, sign, angle = draw_flags(0.5, b), 2.0 * draw_flags(0.5, b) - 1, 2 * math.pi * torch.rand(b)
        zoom = draw_between(*self.zoom, b) * sign * is_zoomed
        shift = (draw_between(*self.shift, b) * ~is_zoomed)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        reach, zoom, shift = move([draw_between(*self.reach, b), zoom, shift], shown.device)
        grid = pixel_places(h, w, shown.device)
        radius = (reach * extent).clamp(min=1)[:, None, None, None]
        away = (grid - centre[:, None, None]) / radius
        within = (1 - away.square().sum(-1, keepdim=True)).clamp(min=0)
        moved = away * zoom[:, None, None, None] + shift[:, None, None]
        warped = sample_places(shown, grid - within**2 * moved * radius)
        mask = (within > 0).permute(0, 3, 1, 2)
        return self.frame_blend(shown, torch.where(mask, warped, shown), mask.float())
