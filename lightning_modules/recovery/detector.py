"""RFFR's network: one branch sees the pixels, one the residual, both only the patches of some blocks."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from datamodules.errors import Refused
from lightning_modules import backbones
from lightning_modules.recovery.blocks import Grid
from lightning_modules.recovery.mae import MAE
from lightning_modules.recovery.residual import residual
from lightning_modules.weights import Released


class Branch(nn.Module):
    """A vision transformer that embeds the whole image and goes on with some patches alone."""

    def __init__(self, name: str, pretrained: bool, size: int, patch: int) -> None:
        super().__init__()
        backbones.check("branch", name, "vit*")
        vit: Any = timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=size, patch_size=patch)
        if not isinstance(vit, timm.models.VisionTransformer):
            raise Refused(f"branch {name!r}: must be a plain vision transformer")
        self.vit = vit

    def forward(self, images: Tensor, places: Tensor, read_class: bool) -> Tensor:
        """(B, C) of the class token, or of the first of the places.

        Args:
            places: (K,) in the sequence, whose first is the class token.
        """
        x = self.vit._pos_embed(self.vit.patch_embed(images))
        chosen = torch.cat([places.new_zeros(1), places]) if read_class else places
        out: Tensor = self.vit.norm(self.vit.blocks(x[:, chosen]))[:, 0]
        return out


class Network(Released):
    mean: Tensor
    std: Tensor
    blocks: Tensor

    def __init__(
        self,
        branch: str = "vit_base_patch16_224.augreg_in1k",
        pretrained: bool = False,
        grid: Grid | None = None,
        generator: MAE | None = None,
        compat: bool = False,
    ) -> None:
        """Arguments as RFFR has them."""
        super().__init__()
        self.generator = (generator or MAE()).requires_grad_(False)
        grid, self.compat = grid or Grid(), compat
        if grid.patches != self.generator.side:
            raise Refused(f"grid of {grid.patches} patches a side: the generator has {self.generator.side}")
        patch = self.generator.patch
        self.pixels, self.residual = (Branch(branch, pretrained, self.generator.side * patch, patch) for _ in range(2))
        self.classifier = nn.Linear(2 * self.pixels.vit.embed_dim, 2)
        self.register_buffer("blocks", grid.ids(), persistent=False)
        for name, value in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def features(self, images: Tensor, rest: Tensor, blocks: Tensor) -> Tensor:
        """(B, 2 C) of the pixels of these blocks, and of their residual.

        Args:
            images: (B, 3, H, W) in [0, 1].
            rest: (B, 3, H, W) residual.
            blocks: (S,) which.
        """
        places = self.blocks[blocks].flatten() + 1  # the class token is first
        # released code reads the residual one patch to the right of the pixels, and no class token
        pixels = self.pixels((images - self.mean) / self.std, places, not self.compat)
        return torch.cat([pixels, self.residual(rest, places + self.compat, not self.compat)], 1)

    def forward(self, images: Tensor, blocks: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2) logits, the second of a fake, and the (B, 3, H, W) residual."""
        rest = residual(self.generator, images, self.blocks[blocks])
        return self.classifier(self.features(images, rest, blocks)), rest
