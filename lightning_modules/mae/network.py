"""A masked autoencoder of images: patches that were hidden are recovered from the others."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
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


def apply_block(block: Any, x: Tensor, places: Tensor) -> Tensor:
    """(B, K, C) what the block makes of the tokens at (B, K) places; all others are only looked at."""
    width, attention = x.shape[2], block.attn
    normed, at = block.norm1(x), places[..., None].expand(-1, -1, width)
    weight, bias = attention.qkv.weight, attention.qkv.bias
    asked = F.linear(normed.gather(1, at), weight[:width], bias[:width])
    key, value = F.linear(normed, weight[width:], bias[width:]).chunk(2, -1)
    asked, key, value = (t.unflatten(2, (attention.num_heads, -1)).transpose(1, 2) for t in (asked, key, value))
    out = F.scaled_dot_product_attention(asked, key, value).transpose(1, 2).flatten(2)
    out = x.gather(1, at) + attention.proj(out)
    out = out + block.mlp(block.norm2(out))
    return out


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
        self.patch, self.side, self.width = patch, size // patch, width
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
        ids = torch.arange(n, device=tokens.device).expand(b, -1)
        seen = ids.scatter_add(1, hidden, torch.full_like(hidden, n)).sort(1).values[:, : n - hidden.shape[1]]
        x = tokens.gather(1, seen[..., None].expand(-1, -1, tokens.shape[2]))
        x = torch.cat([(self.cls_token + self.pos_embed[:, :1]).expand(b, -1, -1), x], 1)
        x = self.decoder_embed(self.norm(self.blocks(x)))
        full = self.mask_token.to(x.dtype).repeat(b, n, 1)
        full.scatter_(1, seen[..., None].expand(-1, -1, x.shape[2]), x[:, 1:])
        full = torch.cat([x[:, :1], full], 1) + self.decoder_pos_embed
        *first, last = self.decoder_blocks
        for block in first:
            full = block(full)
        return self.decoder_pred(self.decoder_norm(apply_block(last, full, hidden + 1)))  # the class token is first

    def summary(self, images: Tensor) -> Tensor:
        """(B, C) class token of images of which nothing is hidden."""
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(images.shape[0], -1, -1)
        out: Tensor = self.norm(self.blocks(torch.cat([cls, self.embed(images)], 1)))[:, 0]
        return out

    def embed(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, N, C): patches with their places."""
        return self.patch_embed(images) + self.pos_embed[:, 1:]

    def patchify(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, N, patch * patch * 3), as ``forward`` gives them."""
        b, p, s = images.shape[0], self.patch, self.side
        return images.view(b, 3, s, p, s, p).permute(0, 2, 4, 3, 5, 1).reshape(b, s * s, 3 * p * p)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """The inverse of ``patchify``."""
        b, p, s = patches.shape[0], self.patch, self.side
        return patches.view(b, s, s, p, p, 3).permute(0, 5, 1, 3, 2, 4).reshape(b, 3, s * p, s * p)
