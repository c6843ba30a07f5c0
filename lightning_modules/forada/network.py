"""Forensics Adapter: a small transformer finds blending boundaries and tells a frozen CLIP which patches to look at.

The published code also adds features of CLIP to the adapter's, through layers that are drawn at random in every pass
and that nothing trains; that is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.trunks import clip_names
from lightning_modules.trunks.class_activation import is_transformer
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.vit_options import vit_options
from lightning_modules.trunks.weights import TrunkWeights, create_trunk

ADAPTER = "vit_tiny_patch16_224"
DEPTH = 8  # blocks of the adapter that are used, of 12
CONTRASTED = (3, 4, 5)  # those whose patches a loss looks at
HIDDEN = -100.0  # added to the attention of what a token must not see
INTRA_AFTER = 6  # block of CLIP whose patches are changed once
INTRA_SCALE = 0.05


@dataclass(kw_only=True)
class ForensicsHeads:
    label: Tensor  # (N,) logit
    xray: Tensor  # (N, 1, H, W) predicted boundary, no logit
    maps: Tensor  # (N, Q, h, w) before the boundary head
    bias: Tensor  # (N, heads, Q, h, w) that queries look at patches with
    queries: Tensor  # (N, Q, 768) unit vectors that the score is made of
    patches: list[Tensor]  # (N, h w, C) each, of the adapter's blocks that are contrasted
    intra: Tensor  # (N, h w, 192) of CLIP's patches


class Perceptron(nn.Module):
    """Three layers; of maps 1 x 1 convolutions."""

    def __init__(self, width: int, hidden: int, out: int, of_maps: bool) -> None:
        super().__init__()
        sizes = [width, hidden, hidden, out]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 1) if of_maps else nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class Adapter(nn.Module):
    """Queries and patches through the first blocks of a small vision transformer, positions added before each."""

    def __init__(self, name: str, weights: TrunkWeights, queries: int, size: int) -> None:
        super().__init__()
        vit: Any = create_trunk("adapter", name, weights, num_classes=0)
        if not is_transformer(vit):
            raise UserError(f"adapter {name!r}: must be a vision transformer")
        self.patch, self.size, self.width = vit.patch_embed.patch_size[0], size, vit.num_features
        self.patch_conv = nn.Conv2d(3, self.width, self.patch, self.patch)
        self.query_embed = nn.Parameter(0.02 * torch.randn(1, queries, self.width))
        self.query_pos_embed = nn.Parameter(0.02 * torch.randn(1, queries, self.width))
        self.pos_embed = nn.Parameter(vit.pos_embed.detach()[:, vit.num_prefix_tokens :].clone())
        self.ln_pre = nn.LayerNorm(self.width)
        self.blocks = vit.blocks[:DEPTH]

    @property
    def grid(self) -> int:
        return self.size // self.patch

    def positions(self) -> Tensor:
        side = math.isqrt(self.pos_embed.shape[1])
        table = self.pos_embed.unflatten(1, (side, side)).permute(0, 3, 1, 2)
        table = F.interpolate(table, (self.grid, self.grid), mode="bilinear")
        return torch.cat([self.query_pos_embed, table.flatten(2).mT], 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(N, Q, C) queries, (N, C, h, w) patches of the last block, and (N, h w, C) of those that are contrasted."""
        q, positions = self.query_embed.shape[1], self.positions()
        patches = self.patch_conv(images).flatten(2).mT
        x = self.ln_pre(torch.cat([self.query_embed.expand(len(images), -1, -1), patches], 1) + positions)
        kept = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in CONTRASTED:
                kept.append(x[:, q:])
            if i < len(self.blocks) - 1:
                x = x + positions
        return x[:, :q], x[:, q:].mT.unflatten(2, (self.grid, self.grid)), kept


class MaskDecoder(nn.Module):
    """A map for each query, and how each head of CLIP's attention is led over the patches."""

    def __init__(self, width: int, heads: int, hidden: int = 256, out: int = 128) -> None:
        super().__init__()
        self.heads = heads
        self.query_mlp = Perceptron(width, hidden, out, of_maps=False)
        self.xray_mlp = Perceptron(width, hidden, out, of_maps=True)
        self.attn_mlp = Perceptron(width, hidden, out * heads, of_maps=True)
        self.bias_scaling = nn.Linear(1, 1)

    def forward(self, queries: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            queries: (N, Q, C).
            features: (N, C, h, w).
        """
        q = self.query_mlp(queries)
        maps = torch.einsum("nkd,ndhw->nkhw", q, self.xray_mlp(features))
        led = self.attn_mlp(features).unflatten(1, (self.heads, -1))  # (N, heads, D, h, w)
        bias = self.bias_scaling(torch.einsum("nkd,nadhw->nakhw", q, led)[..., None])[..., 0]
        return maps, bias


class IntraBlock(nn.Module):
    """What is added to CLIP's patches, once."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.conv_first = nn.Conv1d(width, narrow, 1)
        self.conv_second = nn.Conv1d(narrow, width, 1)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """(N, L, C) to what is added, and (N, L, 192) on the way."""
        narrow = F.relu(self.conv_first(patches.mT))
        return self.conv_second(narrow).mT, narrow.mT


class ForensicsNetwork(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        clip: str = clip_names.QUICKGELU,
        clip_weights: TrunkWeights = None,
        adapter: str = ADAPTER,
        adapter_weights: TrunkWeights = None,
        size: int = 256,
        clip_size: int = 224,
        queries: int = 128,
        embedding: int = 768,
    ) -> None:
        """
        Args:
            clip: Name of a timm vision transformer, which stays as it is.
            adapter: Name of a small one, of which the first eight blocks are trained.
            size: Side of the adapter's image.
            clip_size: Likewise, of CLIP's: both must have as many patches.
            queries: Tokens that look at patches for the score.
            embedding: Width of the space that CLIP projects to.
        """
        super().__init__()
        options = vit_options(clip, clip_size, None, None)
        # timm's head is CLIP's projection, which every use of its weights brings
        self.clip: Any = create_trunk("clip", clip, clip_weights, num_classes=embedding, **options)
        projection = self.clip.get_classifier().weight.detach().T.clone()
        self.clip.reset_classifier(0)
        self.clip.requires_grad_(False)
        self.adapter = Adapter(adapter, adapter_weights, queries, size)
        grid = self.clip.patch_embed.grid_size
        if grid != (self.adapter.grid, self.adapter.grid) or size % self.adapter.patch:
            rule = f"must have as many patches as clip has of {clip_size} pixels, {grid[0]} on a side"
            raise UserError(f"size {size}: adapter {adapter!r} {rule}")
        width = self.clip.num_features
        self.decoder = MaskDecoder(self.adapter.width, self.clip.blocks[0].attn.num_heads)
        self.intra = IntraBlock(width, 192)
        self.proj = nn.Parameter(projection, requires_grad=False)
        self.over_queries = nn.Sequential(
            nn.Conv1d(queries, 64, 3, padding=1),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Conv1d(64, 32, 3, padding=1),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Conv1d(32, 1, 3, padding=1),
        )
        self.score = nn.Sequential(
            nn.Linear(embedding, embedding // 2),
            nn.ReLU(),
            nn.Linear(embedding // 2, embedding // 4),
            nn.ReLU(),
            compute_in_float32(nn.Linear(embedding // 4, 1)),
        )
        self.boundary = nn.Sequential(
            nn.Conv2d(queries, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
            nn.ConvTranspose2d(1, 1, self.adapter.patch, self.adapter.patch),
        )
        self.register_buffer("mean", torch.tensor(clip_names.MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(clip_names.STD).view(3, 1, 1), persistent=False)

    def attention_mask(self, bias: Tensor) -> Tensor:
        """(N, heads, L, L) added to the attention of queries, class token and patches.

        Args:
            bias: (N, heads, Q, h w).
        """
        n, heads, q, patches = bias.shape
        mask = bias.new_zeros(n, heads, q + 1 + patches, q + 1 + patches)
        mask[..., :q] = HIDDEN
        mask[:, :, :q, q] = HIDDEN
        mask[:, :, :q, q + 1 :] = bias
        own = torch.arange(q, device=bias.device)
        mask[:, :, own, own] = 0
        return mask

    def look(self, images: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """CLIP's tokens, queries first, and what the intra block made of its patches.

        Args:
            images: (N, 3, S, S) at the adapter's size, normalized.
        """
        clip, q = self.clip, bias.shape[2]
        small = F.interpolate(images, clip.patch_embed.img_size, mode="bilinear")
        tokens = clip.norm_pre(clip._pos_embed(clip.patch_embed(small)))
        x = torch.cat([tokens[:, :1].expand(-1, q, -1), tokens], 1)
        mask = self.attention_mask(bias.flatten(3))
        narrow = None
        for i, block in enumerate(clip.blocks):
            x = block(x, attn_mask=mask)
            if i == min(INTRA_AFTER, len(clip.blocks) - 1):
                added, narrow = self.intra(x[:, q + 1 :])
                x = torch.cat([x[:, : q + 1], x[:, q + 1 :] + INTRA_SCALE * added], 1)
        assert narrow is not None
        return x, narrow

    def forward(self, images: Tensor, shown: Tensor | None = None) -> ForensicsHeads:
        """
        Args:
            images: (N, 3, S, S) in [0, 1].
            shown: (N, 1, h, w) patches that the boundary is predicted from, in training; all without it.
        """
        normalized = (images - self.mean) / self.std
        queries, features, patches = self.adapter(normalized)
        maps, bias = self.decoder(queries, features)
        tokens, intra = self.look(normalized, bias)
        looked = F.normalize(self.clip.norm(tokens[:, : queries.shape[1]]) @ self.proj, dim=-1)
        return ForensicsHeads(
            label=self.score(self.over_queries(looked)[:, 0])[:, 0],
            xray=self.boundary(maps if shown is None else maps * shown),
            maps=maps,
            bias=bias,
            queries=looked,
            patches=patches,
            intra=intra,
        )

    def early_layers(self) -> Sequence[nn.Module]:
        depth = len(self.clip.blocks)
        return [self.clip.blocks[depth // 6], self.clip.blocks[depth // 3]]
