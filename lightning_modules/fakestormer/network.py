"""FakeSTormer: a vision transformer whose attention is divided into time and space, with heads for both."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.trunks.class_activation import is_transformer
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.vit_options import vit_options
from lightning_modules.trunks.weights import TrunkWeights, create_trunk
from lightning_modules.weights import Released

RELEASED = "vit_base_patch16_224"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@dataclass(kw_only=True)
class StormHeads:
    label: Tensor  # (B,) logit
    temporal: Tensor  # (B, T) logits of how forged each frame is
    heat: Tensor  # (B, T, h, w) standardized change of the blend from the frame before
    token: Tensor  # (B, D) that the label is read from


class DividedBlock(nn.Module):
    """Attention over the frames of each patch, then over the patches of each frame."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp
        self.drop_path1, self.drop_path2 = block.drop_path1, block.drop_path2
        self.temporal_norm1, self.temporal_attn = deepcopy(block.norm1), deepcopy(block.attn)
        width = block.norm1.weight.shape[0]
        self.temporal_fc = nn.Linear(width, width)
        nn.init.zeros_(self.temporal_fc.weight)  # at the start each frame is seen alone
        nn.init.zeros_(self.temporal_fc.bias)

    def forward(self, cls: Tensor, patches: Tensor, token: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same three after it, and (B, T, D) of each frame what its class token was given.

        Args:
            cls: (B, D).
            patches: (B, P, T, D).
            token: (B, D) of the whole clip, beside the frames of each patch.
        """
        b, p, t, _ = patches.shape
        along = torch.cat([patches, token[:, None, None].expand(-1, p, -1, -1)], 2).flatten(0, 1)  # (B P, T + 1, D)
        change = self.temporal_fc(self.drop_path1(self.temporal_attn(self.temporal_norm1(along))))
        change = change.unflatten(0, (b, p))
        patches = patches + change[:, :, :t]
        token_change = change[:, :, t].mean(1)
        frames = torch.cat([cls[:, None, None].expand(-1, t, -1, -1), patches.transpose(1, 2)], 2).flatten(0, 1)
        change = self.drop_path1(self.attn(self.norm1(frames))).unflatten(0, (b, t))  # (B, T, 1 + P, D)
        of_frames = change[:, :, 0]
        x = torch.cat(
            [
                (cls + of_frames.mean(1))[:, None],
                (patches + change[:, :, 1:].transpose(1, 2)).flatten(1, 2),
                (token + token_change)[:, None],
            ],
            1,
        )
        x = x + self.drop_path2(self.mlp(self.norm2(x)))
        return x[:, 0], x[:, 1:-1].unflatten(1, (p, t)), x[:, -1], of_frames


class TimeTransformer(nn.Module):
    """Its parts have the authors' names."""

    shares_batch = False  # as released code: a clip's token starts from the first clip of its batch, by its place there

    def __init__(self, name: str, weights: TrunkWeights, size: int, frames: int, drop_path: float) -> None:
        super().__init__()
        options = vit_options(name, size, None, None)
        options |= {"drop_path_rate": drop_path, "dynamic_img_size": False}
        vit: Any = create_trunk("backbone", name, weights, num_classes=0, **options)
        if not is_transformer(vit) or vit.num_prefix_tokens != 1 or vit.pos_embed.shape[1] == 1:
            raise UserError(f"backbone {name!r}: must be a vision transformer with a class token and positions")
        self.width = vit.num_features
        self.grid: int = vit.patch_embed.grid_size[0]
        self.patch: int = vit.patch_embed.patch_size[0]
        self.patch_embed, self.cls_token, self.pos_embed = vit.patch_embed, vit.cls_token, vit.pos_embed
        self.temp_token = nn.Parameter(0.02 * torch.randn(1, 1, self.width))
        self.time_embed = nn.Parameter(torch.zeros(1, frames + 1, self.width))
        self.blocks = nn.ModuleList(DividedBlock(block) for block in vit.blocks)
        self.norm = nn.LayerNorm(self.width, eps=1e-6)
        self.norm_s_cls = nn.LayerNorm(self.width, eps=1e-6)

    def start(self, patches: Tensor, compat: bool) -> Tensor:
        """(B, D) the token of each clip before the first block.

        Args:
            patches: (B, P, T, D) with their positions and times.
            compat: As released code: not the token that is learned but a patch, that of the clip alone.
        """
        if not compat:
            return (self.temp_token[:, 0] + self.time_embed[:, -1]).expand(
                patches.shape[0], -1
            )  # len would be a constant
        if self.shares_batch:
            return patches[0, : len(patches), 0]
        return patches[:, 0, 0]

    def forward(self, frames: Tensor, compat: bool) -> tuple[Tensor, Tensor, Tensor]:
        """(B, D) token of each clip, (B, P, T, D) patches, and (B, T, D) class tokens of the frames.

        Args:
            frames: (B, T, 3, H, W), normalized.
        """
        b, t = frames.shape[:2]
        patches = self.patch_embed(frames.flatten(0, 1)) + self.pos_embed[:, 1:]
        patches = patches.unflatten(0, (b, t)).transpose(1, 2) + self.time_embed[:, None, :t]  # (B, P, T, D)
        cls = (self.cls_token + self.pos_embed[:, :1])[:, 0].expand(b, -1)
        token, of_frames = self.start(patches, compat), patches
        for block in self.blocks:
            cls, patches, token, of_frames = block(cls, patches, token)
        return self.norm(token), self.norm(patches), self.norm_s_cls(of_frames)


class StormNetwork(Released):
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = RELEASED,
        weights: TrunkWeights = None,
        size: int = 224,
        frames: int = 4,
        drop_path: float = 0.0,
        compat: bool = False,
    ) -> None:
        """
        Args:
            compat: The token of a clip starts from a patch, and the heat map is read from patches in the order that
                released code has them, a quarter of the image and every frame in each of its frames.
        """
        super().__init__()
        self.compat, self.frames = compat, frames
        self.backbone = TimeTransformer(backbone, weights, size, frames, drop_path)
        width = self.backbone.width
        self.label = compute_in_float32(nn.Linear(width, 1))
        self.temporal = nn.Sequential(nn.Linear(width, width // 4), nn.GELU(), nn.Dropout(0.2))
        self.temporal_out = nn.Linear(frames * (width // 4), frames)
        self.heat = nn.Sequential(  # over time alone, of each place
            nn.Conv1d(width, width, 3, padding=1),
            nn.BatchNorm1d(width, momentum=0.05),
            nn.GELU(),
            nn.Conv1d(width, width // 4, 3, padding=1),
            nn.BatchNorm1d(width // 4, momentum=0.05),
            nn.GELU(),
            nn.Conv1d(width // 4, 1, 3, padding=1),
        )
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def volume(self, patches: Tensor) -> Tensor:
        """(B, P, T, D) to (B, D, T, h, w)."""
        b, _, t, d = patches.shape
        side = self.backbone.grid
        if self.compat:
            return patches.flatten(1, 2).mT.reshape(b, d, t, side, side)
        return patches.permute(0, 3, 2, 1).unflatten(3, (side, side))

    def forward(self, frames: Tensor) -> StormHeads:
        """
        Args:
            frames: (B, T, 3, H, W) in [0, 1].
        """
        token, patches, of_frames = self.backbone((frames - self.mean) / self.std, self.compat)
        places = self.volume(patches).permute(0, 3, 4, 1, 2)  # (B, h, w, D, T)
        heat = self.heat(places.flatten(0, 2))[:, 0].unflatten(0, places.shape[:3])
        return StormHeads(
            label=self.label(token)[:, 0],
            temporal=self.temporal_out(self.temporal(of_frames).flatten(1)),
            heat=heat.permute(0, 3, 1, 2),
            token=token,
        )


def hide(frames: Tensor, kept: Tensor) -> Tensor:
    """The frames with black patches where cells are not kept.

    Args:
        frames: (B, T, 3, H, W).
        kept: (B, h, w) bool.
    """
    cells = kept[:, None].to(frames.dtype)
    return frames * F.interpolate(cells, frames.shape[-2:], mode="nearest")[:, None]
