"""A masked autoencoder of images: patches that were hidden are recovered from the others."""

from __future__ import annotations

import functools
from typing import Any

import torch
from timm.layers import PatchEmbed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

EPS = 1e-6


def positions(width: int, side: int) -> Tensor:
    """(1, 1 + side * side, width) sines and cosines: the first half of each says the column, the second the row."""
    frequency = 10000 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angle = torch.arange(side, dtype=torch.float64)[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], 1)  # (side, width / 2)
    column, row = line.expand(side, -1, -1), line[:, None].expand(-1, side, -1)
    table = torch.cat([column, row], 2).flatten(0, 1)
    return torch.cat([table.new_zeros(1, width), table])[None].float()


def stack(depth: int, width: int, heads: int) -> nn.Sequential:
    norm: Any = functools.partial(nn.LayerNorm, eps=EPS)
    return nn.Sequential(*(Block(width, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)))


class MAE(nn.Module):
    """Works on pixels in [0, 1], which are neither normalized before nor after."""

    pos_embed: Tensor
    decoder_pos_embed: Tensor

    def __init__(
        self,
        size: int = 224,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        decoder_width: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
    ) -> None:
        super().__init__()
        self.patch, self.side = patch, size // patch
        self.patch_embed = PatchEmbed(size, patch, 3, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.register_buffer("pos_embed", positions(width, self.side))
        self.register_buffer("decoder_pos_embed", positions(decoder_width, self.side))
        self.blocks, self.norm = stack(depth, width, heads), nn.LayerNorm(width, eps=EPS)
        self.decoder_embed = nn.Linear(width, decoder_width)
        self.decoder_blocks = stack(decoder_depth, decoder_width, decoder_heads)
        self.decoder_norm = nn.LayerNorm(decoder_width, eps=EPS)
        self.decoder_pred = nn.Linear(decoder_width, 3 * patch**2)
        self.reset()

    def reset(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        embed = self.patch_embed.proj
        nn.init.xavier_uniform_(embed.weight.view(embed.out_channels, -1))
        for token in (self.cls_token, self.mask_token):
            nn.init.normal_(token, std=0.02)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """(B, K, patch * patch * 3) pixels of the hidden patches, row by row, channels last.

        Args:
            tokens: (B, N, C) from ``embed``.
            hidden: (B, K) ids of patches.
        """
        b, n, _ = tokens.shape
        is_seen = torch.ones(b, n, dtype=torch.bool, device=tokens.device).scatter_(1, hidden, False)
        seen = is_seen.nonzero()[:, 1].view(b, -1)  # in their order
        x = tokens.gather(1, seen[..., None].expand(-1, -1, tokens.shape[2]))
        x = torch.cat([(self.cls_token + self.pos_embed[:, :1]).expand(b, -1, -1), x], 1)
        x = self.decoder_embed(self.norm(self.blocks(x)))
        full = self.mask_token.to(x.dtype).repeat(b, n, 1)
        full.scatter_(1, seen[..., None].expand(-1, -1, x.shape[2]), x[:, 1:])
        full = torch.cat([x[:, :1], full], 1) + self.decoder_pos_embed
        out = self.decoder_norm(self.decoder_blocks(full))[:, 1:]
        return self.decoder_pred(out.gather(1, hidden[..., None].expand(-1, -1, out.shape[2])))

    def embed(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, N, C): patches with their places."""
        return self.patch_embed(images) + self.pos_embed[:, 1:]

    def patches(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, N, patch * patch * 3), as ``forward`` gives them."""
        b, p, s = len(images), self.patch, self.side
        return images.view(b, 3, s, p, s, p).permute(0, 2, 4, 3, 5, 1).reshape(b, s * s, 3 * p * p)

    def pictures(self, patches: Tensor) -> Tensor:
        """The inverse of ``patches``."""
        b, p, s = len(patches), self.patch, self.side
        return patches.view(b, s, s, p, p, 3).permute(0, 5, 1, 3, 2, 4).reshape(b, 3, s * p, s * p)
