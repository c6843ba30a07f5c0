"""LAE's networks: an autoencoder whose latent units are for real faces, one half, and for forged ones, the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.trunks.early_layers import find_early
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.weights import TrunkWeights, create_trunk

SMALLEST = 8  # side of the image that the decoder begins with


@dataclass(frozen=True, slots=True)
class Encoded:
    features: Tensor  # (B, K, h, w) of the last convolution
    channels: Tensor  # (B, K) their means
    latent: Tensor  # (B, Z) at least 0; the first half is for real faces


def create_convolution(ins: int, outs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(ins, outs, 3, stride, 1), nn.BatchNorm2d(outs), nn.ReLU()]


def create_stack(widths: Sequence[int]) -> nn.Sequential:
    """Each width twice, at full and at half the size; the last once more."""
    layers = create_convolution(3, widths[0], 1) + create_convolution(widths[0], widths[1], 2)
    for ins, outs in pairwise(widths[1:]):
        layers += create_convolution(ins, ins, 1) + create_convolution(ins, outs, 2)
    return nn.Sequential(*layers, *create_convolution(widths[-1], widths[-1], 1))


class Encoder(nn.Module):
    scale: Tensor
    shift: Tensor

    def __init__(
        self, trunk: str | None, weights: TrunkWeights, widths: Sequence[int], latent: int, stride: int | None = None
    ) -> None:
        """Arguments as LAE has them."""
        super().__init__()
        if trunk is None:
            if weights is not None:
                raise UserError(f"trunk_weights {str(weights)!r}: are of a timm model; give --model.trunk")
            if stride is not None:
                raise UserError(f"stride {stride}: is that of a timm model; give --model.trunk")
            self.trunk: nn.Module = create_stack(widths)
            self.width = widths[-1]
            mean = std = (0.5, 0.5, 0.5)
        else:
            finer: dict[str, Any] = {} if stride is None else {"output_stride": stride}
            try:
                net = create_trunk("trunk", trunk, weights, num_classes=0, global_pool="", **finer)
            except (TypeError, AssertionError, ValueError, NotImplementedError) as error:
                raise UserError(f"stride {stride}: trunk {trunk!r} cannot be had with it; leave it out") from error
            self.trunk, self.width = net, net.num_features
            mean, std = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
        # brings [-1, 1] to what the trunk expects: 1 and 0 for what expects it
        scale, shift = 0.5 / torch.tensor(std), (0.5 - torch.tensor(mean)) / torch.tensor(std)
        self.register_buffer("scale", scale.view(3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(3, 1, 1), persistent=False)
        self.latent = compute_in_float32(nn.Linear(self.width, latent))

    def early_layers(self) -> list[nn.Module]:
        if isinstance(self.trunk, nn.Sequential):  # plain convolutions, three layers for each
            return [self.trunk[i] for i in range(2, len(self.trunk), 3)][3:6:2]
        return find_early(self.trunk)

    def forward(self, images: Tensor) -> Encoded:
        """
        Args:
            images: (B, 3, H, W) in [-1, 1].
        """
        features = self.trunk(self.scale * images + self.shift)
        channels = features.mean((2, 3))
        return Encoded(features, channels, self.latent(channels).relu())


class ImageDecoder(nn.Module):
    def __init__(self, size: int, latent: int, widths: Sequence[int]) -> None:
        super().__init__()
        doublings = (size // SMALLEST).bit_length() - 1
        if doublings < 1 or SMALLEST << doublings != size:
            raise UserError(f"size {size}: must be {SMALLEST} times a power of two")
        self.width = widths[-1]
        self.begin = nn.Sequential(nn.Linear(latent, self.width * SMALLEST**2), nn.ReLU())
        outs = [max(widths[0], self.width >> (i + 1)) for i in range(doublings)]
        layers: list[nn.Module] = []
        for ins, out in pairwise([self.width, *outs]):
            layers += [nn.ConvTranspose2d(ins, out, 4, 2, 1), nn.BatchNorm2d(out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(outs[-1], 3, 3, 1, 1), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1]."""
        out: Tensor = self.layers(self.begin(latent).view(-1, self.width, SMALLEST, SMALLEST))
        return out


class Discriminator(nn.Module):
    """Tells decoded faces from shown ones, place by place."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(3):
            ins, outs = width << i, width << (i + 1)
            layers += [nn.Conv2d(ins, outs, 4, 2, 1), nn.BatchNorm2d(outs), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width << 3, 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B,) logits of being shown."""
        return self.layers(images).mean((1, 2, 3))


class Comparator(nn.Module):
    """VGG-16 up to relu3_3, with frozen weights of ImageNet: how alike two images look."""

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Any = None) -> None:
        """
        Args:
            weights: State dict of torchvision's VGG-16; fetched from its hub without it.
        """
        super().__init__()
        from torchvision.models import VGG16_Weights, vgg16

        net = vgg16(weights=VGG16_Weights.IMAGENET1K_V1 if weights is None else None)
        if weights is not None:
            net.load_state_dict(weights)
        self.layers = net.features[:16].requires_grad_(False).eval()
        for name, value in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> Comparator:
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """
        Args:
            images: (B, 3, H, W) in [-1, 1].
        """
        out: Tensor = self.layers((images / 2 + 0.5 - self.mean) / self.std)
        return out
