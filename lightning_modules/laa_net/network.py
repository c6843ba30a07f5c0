"""LAA-Net: an EfficientNet trunk, the enhanced feature pyramid and three heads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.trunks.batch_statistics import set_momentum
from lightning_modules.trunks.early_layers import REDUCTIONS
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.weights import TrunkWeights, create_trunk

NATIVE = 380  # side for which the released network froze its paddings
RELEASED = "tf_efficientnet_b4.ap_in1k"  # released weights normalize as this one does, others of the name do not
PUBLISHED_MOMENTUM = 0.01  # of the trunk's batch norms; torch's is 0.1


@dataclass(kw_only=True)
class LAAHeads:
    """What the network says of B images; h and w are a quarter of the image's."""

    points: Tensor  # (B, 1, h, w) logit of a vulnerable point
    label: Tensor  # (B,) logit, above 0 means fake
    embedding: Tensor  # (B, 256, h, w), of which products are self-consistency


class FrozenConv2d(nn.Conv2d):
    """A convolution with "same" padding that was fixed for another size of image than it meets."""

    around: tuple[int, int, int, int]  # left, right, top, bottom

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, self.around), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def freeze_padding(trunk: nn.Module, size: int) -> None:
    """Fixes the paddings of all strided convolutions as they are for images of one size."""
    for conv in list(trunk.modules()):
        if isinstance(conv, Conv2dSame) and conv.stride[0] > 1:
            out = math.ceil(size / conv.stride[0])
            total = max(0, (out - 1) * conv.stride[0] + conv.kernel_size[0] - size)
            left, right = total // 2, total - total // 2
            conv.__class__ = FrozenConv2d  # type: ignore[assignment]  # same weights under the same name
            conv.around = (left, right, left, right)  # type: ignore[assignment]
            size = out


class Trunk(nn.Module):
    """Features before each halving, and after the last convolution."""

    def __init__(
        self, name: str, weights: TrunkWeights, padding_side: int | None, momentum: float | None = None
    ) -> None:
        super().__init__()
        net = create_trunk("trunk", name, weights, "*efficientnet*", num_classes=0, drop_path_rate=0.2)
        self.mean, self.std = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
        if not isinstance(net, EfficientNet):
            raise UserError(f"trunk {name!r}: must be an EfficientNet")
        self.conv_stem, self.bn1, self.blocks, self.conv_head, self.bn2 = (
            getattr(net, part) for part in ("conv_stem", "bn1", "blocks", "conv_head", "bn2")
        )
        taps = {info["reduction"]: info for info in net.feature_info}
        if not {8, 16, 32} <= taps.keys():
            raise UserError(f"trunk {name!r}: has no features at an eighth, a 16th and a 32nd of the size")
        at = {reduction: int(info["module"].rpartition(".")[2]) for reduction, info in taps.items() if reduction > 2}
        self.early = [at[reduction] for reduction in REDUCTIONS if reduction in at]
        self.taps = [at[reduction] for reduction in (8, 16, 32)]
        self.channels = [taps[reduction]["num_chs"] for reduction in (8, 16, 32)] + [net.num_features]
        if momentum is not None or weights is not None:
            # of what they begin with, a mean of 0 and a variance of 1 or those of photographs, the published one leaves
            # a tenth after 229 steps: it is for statistics that are there already, and for long trainings
            set_momentum(self, PUBLISHED_MOMENTUM if momentum is None else momentum)
        if padding_side is not None:
            freeze_padding(self, padding_side)

    def early_layers(self) -> list[nn.Module]:
        return [self.blocks[i] for i in self.early]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to C3, C4, C5 and C5.1, at 1/8, 1/16, 1/32 and 1/32 of the size."""
        x = self.bn1(self.conv_stem(x))
        taps = []
        for i, stage in enumerate(self.blocks):
            x = stage(x)
            if i in self.taps:
                taps.append(x)
        return [*taps, self.bn2(self.conv_head(x))]


def conv(inside: int, outside: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


def upsample(channels: int) -> nn.Sequential:
    enlarge = nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False)
    nn.init.normal_(enlarge.weight, std=math.sqrt(2 / (16 * channels)))
    return nn.Sequential(enlarge, nn.BatchNorm2d(channels))


def gate(top: Tensor, feature: Tensor) -> Tensor:
    """What the level above is unsure of comes from the trunk: (B, C, H, W) twice to (B, 2C, H, W)."""
    return torch.cat([top, (1 - top.sigmoid()) * feature], 1)


class Inception(nn.Module):
    """Four views of a feature, which share their first convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.point = conv(channels, channels // 4, 1)
        self.three, self.five = conv(channels // 4, channels // 4, 3), conv(channels // 4, channels // 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        # in training as many updates of the batch statistics as the authors' four calls make
        points = [self.point(x) for _ in range(3)] if self.training else [self.point(x)] * 3
        around = self.point(F.max_pool2d(x, 3, 1, 1))
        return torch.cat([points[0], self.three(points[1]), self.five(points[2]), around], 1)


class Pyramid(nn.Module):
    """E-FPN: top-down, each level gated by what the one above it already knows."""

    def __init__(self, channels: list[int], gated: bool = True) -> None:
        """
        Args:
            channels: Channels of C3, C4, C5 and C5.1.
            gated: Whether gates are used; otherwise the trunk's features are appended unchanged.
        """
        super().__init__()
        c3, c4, c5, top = channels
        self.conv5, self.conv4, self.conv3 = conv(top, c5, 3), conv(2 * c5, c4, 3), conv(2 * c4, c3, 3)
        self.up4, self.up3, self.up2 = upsample(c4), upsample(c3), upsample(2 * c3)
        self.inception, self.gated = Inception(2 * c3), gated

    def join(self, top: Tensor, feature: Tensor) -> Tensor:
        return gate(top, feature) if self.gated else torch.cat([top.relu(), feature], 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """To (B, 2 C3, H/4, W/4)."""
        c3, c4, c5, top = features
        x = self.join(self.conv5(top), c5)
        x = self.join(self.up4(self.conv4(x)), c4)
        x = self.join(self.up3(self.conv3(x)), c3)
        return F.relu(self.up2(self.inception(x)))


def head(channels: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]


class LAANetwork(nn.Module):
    """The whole, on images that the trunk's own statistics normalize."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        trunk: str = RELEASED,
        trunk_weights: TrunkWeights = None,
        padding_side: int | None = NATIVE,
        gated: bool = True,
        momentum: float | None = None,
    ) -> None:
        """Arguments as LAANet has them."""
        super().__init__()
        self.trunk = Trunk(trunk, trunk_weights, padding_side, momentum)
        self.drop = nn.Dropout(0.4)
        self.pyramid = Pyramid(self.trunk.channels, gated)
        width = 2 * self.trunk.channels[0]
        points, embedding = nn.Conv2d(64, 1, 1), nn.Conv2d(64, 256, 1)
        assert points.bias is not None
        assert embedding.bias is not None
        nn.init.constant_(points.bias, -2.19)  # a tenth of all places
        nn.init.normal_(embedding.weight, std=math.sqrt(2 / 256))
        nn.init.zeros_(embedding.bias)
        self.points = nn.Sequential(*head(width), points)
        self.label = nn.Sequential(
            *head(width), nn.AdaptiveAvgPool2d(1), nn.Flatten(), compute_in_float32(nn.Linear(64, 1))
        )
        self.embedding = nn.Sequential(*head(width), embedding)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(self.trunk, name)).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> LAAHeads:
        """(B, 3, H, W) in [0, 1]; H and W multiples of 32."""
        return self.heads(self.trunk((images - self.mean) / self.std))

    def heads(self, features: list[Tensor]) -> LAAHeads:
        z = self.pyramid([self.drop(feature) for feature in features])
        return LAAHeads(points=self.points(z), label=self.label(z).flatten(), embedding=self.embedding(z))
