"""The network of ST-DDL: two trunks, pixels that look where motion tells them to, a mask for each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.trunks import timm_names
from lightning_modules.trunks.early_layers import find_early
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.weights import TrunkWeights, create_trunk
from lightning_modules.weights import Released

HEAD = 32  # channels of one head of attention


@dataclass(kw_only=True)
class STDDLHeads:
    """Of B clips of T frames; the second of two channels is forged."""

    label: Tensor  # (B, 2)
    mask: Tensor  # (B, T, 2, H, W)


class HRNet(nn.Module):
    """timm's, of which the branch of the finest scale is kept, brought to a sixteenth of the image."""

    def __init__(self, name: str, weights: TrunkWeights, channels: int, width: int) -> None:
        super().__init__()
        trunk = create_trunk("trunk", name, weights, in_chans=channels, num_classes=0)
        trunk.incre_modules = trunk.downsamp_modules = None
        del trunk.final_layer
        last = trunk.stage4[-1]
        last.fuse_layers = last.fuse_layers[:1]  # a parameter without use would stop DDP
        finest = trunk.stage4_cfg["num_channels"][0]
        self.trunk = trunk
        self.final_layer = nn.Sequential(
            nn.Conv2d(finest, width // 4, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width // 4),
            nn.Conv2d(width // 4, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )

    def early_layers(self) -> list[nn.Module]:
        return [self.trunk.layer1]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.final_layer(self.trunk.forward_features(x)[0])
        return out


class Features(nn.Module):
    """Another convolutional timm model up to a sixteenth of the image."""

    def __init__(self, name: str, weights: TrunkWeights, channels: int, width: int) -> None:
        super().__init__()
        with torch.device("meta"):
            info: Any = timm.create_model(name, features_only=True).feature_info
        if info.reduction().count(16) != 1:
            raise UserError(f"trunk {name!r}: must be a convolutional network with features at a 16th of the size")
        at = info.reduction().index(16)
        options: dict[str, Any] = {"features_only": True, "out_indices": [info.out_indices[at]]}
        self.trunk = create_trunk("trunk", name, weights, in_chans=channels, **options)
        self.project = nn.Conv2d(info.channels()[at], width, 1)
        self.freeze_unused(channels)

    def early_layers(self) -> list[nn.Module]:
        return find_early(self.trunk)

    def freeze_unused(self, channels: int) -> None:
        """What lies beyond those features: a parameter without gradient would stop DDP."""
        trunk = self.trunk.eval()
        parameters = dict(trunk.named_parameters())
        out = trunk(torch.zeros(1, channels, 64, 64))[0].sum()
        gradients = torch.autograd.grad(out, list(parameters.values()), allow_unused=True)
        for parameter, gradient in zip(parameters.values(), gradients, strict=True):
            parameter.requires_grad_(gradient is not None)
        trunk.train()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(self.trunk(x)[0])
        return out


class Fusion(Released):
    """Each place of the pixels gathers from others; which, their motion decides."""

    def __init__(self, width: int, compat: bool) -> None:
        super().__init__()
        self.compat = compat
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)  # the first serves both streams
        self.query_value, self.key = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, pixels: Tensor, motion: Tensor) -> Tensor:
        """(N, C, h, w) each, and so is the result."""
        n, c, h, w = pixels.shape
        x, m = (stream.flatten(2).transpose(1, 2) for stream in (pixels, motion))
        query, value = self.query_value(self.norm1(x)).chunk(2, -1)
        key = self.key(self.norm1(m))
        query, key, value = (t.view(n, h * w, -1, HEAD).transpose(1, 2) for t in (query, key, value))
        gathered = F.scaled_dot_product_attention(query, key, value)
        # released code leaves the heads before the frames: places, frames and clips of a batch are mixed
        gathered = gathered.transpose(0, 1) if self.compat else gathered.transpose(1, 2)
        x = x + self.proj(gathered.reshape(n, h * w, c))
        x = x + self.mlp(self.norm2(x))
        return x.transpose(1, 2).reshape(n, c, h, w)


class FusionUp(nn.Module):
    """Four times as large; corners stay corners."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=True)


class STDDLNetwork(nn.Module):
    def __init__(
        self,
        trunk: str = "hrnet_w32",
        trunk_weights: TrunkWeights = None,
        width: int = 512,
        motion_channels: int = 2,
        compat: bool = False,
    ) -> None:
        """Arguments as STDDL has them."""
        super().__init__()
        if width % HEAD:
            raise UserError(f"width {width}: must be a multiple of {HEAD}")
        timm_names.check("trunk", trunk)
        kind: type[HRNet | Features] = HRNet if trunk.startswith("hrnet") else Features
        self.pixels = kind(trunk, trunk_weights, 3, width)
        self.motion = kind(trunk, trunk_weights, motion_channels, width)
        self.fusion = Fusion(width, compat)
        self.mask = nn.Sequential(
            nn.Conv2d(width, 32, 3, 1, 1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            FusionUp(),
            nn.Conv2d(32, 8, 3, 1, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            FusionUp(),
            compute_in_float32(nn.Conv2d(8, 2, 3, 1, 1)),
        )
        self.label = compute_in_float32(nn.Linear(width, 2))

    def fuse(self, pixels: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, H, W) in [-1, 1] and (N, C, H, W) to features of pixels, of motion, and of both."""
        x, m = self.pixels(pixels), self.motion(motion)
        return x, m, self.fusion(x, m)

    def heads(self, fused: Tensor, clips: int) -> STDDLHeads:
        mask, label = self.mask(fused), self.label(fused.mean((2, 3)))
        return STDDLHeads(label=label.view(clips, -1, 2).mean(1), mask=mask.view(clips, -1, *mask.shape[1:]))

    def forward(self, pixels: Tensor, motion: Tensor) -> STDDLHeads:
        """(B, T, 3, H, W) in [-1, 1] and (B, T, C, H, W)."""
        return self.heads(self.fuse(pixels.flatten(0, 1), motion.flatten(0, 1))[2], len(pixels))
