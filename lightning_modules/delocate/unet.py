"""Delocate's second stage: what was recovered is mapped, and a U-Net says where it differs from what is shown."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.weights import TrunkWeights, create_trunk

GROUPS = 8  # of channels that are normalized together


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [nn.GroupNorm(GROUPS, width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
        layers += [nn.GroupNorm(GROUPS, width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class Mapping(nn.Module):
    """Makes of a recovered face one that is nearer to a real face, and farther from a forged one."""

    def __init__(self, width: int = 64, depth: int = 6) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(6, width, 3, padding=1), *(Residual(width) for _ in range(depth)), nn.Conv2d(width, 3, 1)
        )

    def forward(self, reconstruction: Tensor, residual: Tensor) -> Tensor:
        out: Tensor = reconstruction + 0.5 * torch.tanh(self.layers(torch.cat([reconstruction, residual], 1)))
        return out


class Gates(nn.Module):
    """SCSE: of a channel and of a place, whichever lets more through."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel = nn.Sequential(nn.Conv2d(width, width // 2, 1), nn.ReLU(), nn.Conv2d(width // 2, width, 1))
        self.place = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        channel = self.channel(x.mean((2, 3), keepdim=True)).sigmoid()
        return x * torch.maximum(channel, self.place(x).sigmoid())


class UpBlock(nn.Module):
    """Twice the size, or as large as what it is joined with."""

    def __init__(self, width: int, beside: int, out: int, gated: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, out, 3, padding=1)
        self.second = nn.Conv2d(out + beside, out, 3, padding=1)
        self.gates = Gates(out) if gated else nn.Identity()

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        x = F.relu(self.first(F.interpolate(x, size=beside.shape[-2:])))
        out: Tensor = self.gates(F.relu(self.second(torch.cat([x, beside], 1))))
        return out


class UNet(nn.Module):
    def __init__(
        self,
        encoder: str,
        channels: int,
        trunk_weights: TrunkWeights = None,
        widths: Sequence[int] = (384, 256, 128, 64),
        gated: bool = True,
        groups: bool = False,
    ) -> None:
        """
        Args:
            encoder: Name of a convolutional timm model.
            channels: Number of input channels.
            trunk_weights: See Delocate.
            widths: Widths of the decoder, from the coarsest; as many as the encoder has features, less one.
            gated: Whether SCSE gates are used.
            groups: Normalize groups of channels, not batches.
        """
        super().__init__()
        net = create_trunk("encoder", encoder, trunk_weights, features_only=True, in_chans=channels)
        self.mean, self.std = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]  # of the pixels it expects
        self.encoder = use_group_norm(net) if groups else net
        *beside, self.width = net.feature_info.channels()
        if len(widths) != len(beside):
            raise UserError(f"widths {list(widths)}: encoder {encoder!r} wants {len(beside)} of them")
        inward = [self.width, *widths]
        parts = zip(inward, reversed(beside), widths, strict=False)
        self.decoder = nn.ModuleList(UpBlock(width, skip, out, gated) for width, skip, out in parts)
        last = inward[len(self.decoder)]
        self.last = nn.Sequential(
            nn.Conv2d(last, last // 2, 3, padding=1), nn.ReLU(), compute_in_float32(nn.Conv2d(last // 2, 1, 1))
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) logits, and (B, C) the mean of what is coarsest."""
        *beside, coarsest = self.encoder(x)
        y = coarsest
        for up, skip in zip(self.decoder, reversed(beside), strict=True):
            y = up(y, skip)
        return self.last(F.interpolate(y, size=x.shape[-2:])), coarsest.mean((2, 3))


def use_group_norm(net: nn.Module) -> nn.Module:
    """Batch norms replaced in place, their weights kept."""
    for name, child in net.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            if child.num_features % GROUPS:
                raise UserError(f"groups: {child.num_features} channels are no multiple of {GROUPS}")
            # timm joins a norm and its activation in one module
            norm = nn.GroupNorm(GROUPS, child.num_features)
            norm.load_state_dict({"weight": child.weight, "bias": child.bias})
            setattr(net, name, nn.Sequential(norm, child.act) if isinstance(child, BatchNormAct2d) else norm)
        else:
            use_group_norm(child)
    return net
