"""What a face is not: the difference between an image and what is recovered of each of its blocks from the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_modules.recovery.mae import MAE

GAIN = 4.0


def recovered(mae: MAE, images: Tensor, blocks: Tensor) -> Tensor:
    """The images with each block replaced by what is recovered where it alone is hidden.

    Args:
        images: (B, 3, H, W) in [0, 1].
        blocks: (S, K) patches of each block.
    """
    b, (s, k) = len(images), blocks.shape
    tokens = mae.embed(images).repeat_interleave(s, 0)  # the embedding is that of the whole image, made once
    found = mae(tokens, blocks.repeat(b, 1)).view(b, s * k, -1)
    patches = mae.patches(images).scatter(1, blocks.flatten()[None, :, None].expand(b, -1, found.shape[2]), found)
    return mae.pictures(patches)


@torch.no_grad()
def residual(mae: MAE, images: Tensor, blocks: Tensor) -> Tensor:
    """(B, 3, H, W) in [-1, 1], zero outside the blocks."""
    return (GAIN * (recovered(mae, images, blocks) - images)).clamp(-1, 1)
