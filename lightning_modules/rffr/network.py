"""RFFR's network: one branch sees the pixels, one the residual, both only the patches of some blocks.

A branch is a vision transformer, as published, or a convolutional network, to which all other patches are blank.
"""

from __future__ import annotations

from typing import Literal

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.mae.block_grid import Grid
from lightning_modules.mae.masking import check
from lightning_modules.mae.network import MAE
from lightning_modules.mae.reconstruction import residual
from lightning_modules.trunks import timm_names
from lightning_modules.trunks.early_layers import find_early
from lightning_modules.trunks.last_layer import compute_in_float32
from lightning_modules.trunks.weights import TrunkWeights, create_trunk
from lightning_modules.weights import Released

Inputs = Literal["both", "pixels", "residual"]
BRANCHES = ("pixels", "residual")


class Branch(nn.Module):
    """A vision transformer that embeds the whole image and goes on with some patches alone."""

    def __init__(self, name: str, weights: TrunkWeights, size: int, patch: int) -> None:
        super().__init__()
        try:
            vit = create_trunk("branch", name, weights, "vit*", num_classes=0, img_size=size, patch_size=patch)
        except TypeError:  # whose size is not chosen so
            vit = None
        plain = isinstance(vit, timm.models.VisionTransformer) and vit.num_prefix_tokens == 1
        if not plain or not isinstance(vit.norm_pre, nn.Identity) or isinstance(vit.norm, nn.Identity):
            raise UserError(
                f"branch {name!r}: must be a plain vision transformer, read at its class token, or convolutional"
            )
        self.vit, self.width = vit, int(vit.embed_dim)

    def early_layers(self) -> list[nn.Module]:
        return find_early(self.vit)

    def forward(self, images: Tensor, places: Tensor, read_class: bool) -> Tensor:
        """(B, C) of the class token, or of the first of the places.

        Args:
            places: (K,) in the sequence, whose first is the class token.
        """
        x = self.vit._pos_embed(self.vit.patch_embed(images))
        chosen = torch.cat([places.new_zeros(1), places]) if read_class else places
        out: Tensor = self.vit.norm(self.vit.blocks(x[:, chosen]))[:, 0]
        return out


class ConvolutionalBranch(nn.Module):
    """What a convolutional network makes of an image that is blank but for some patches."""

    def __init__(self, name: str, weights: TrunkWeights) -> None:
        super().__init__()
        self.net = create_trunk("branch", name, weights, num_classes=0)
        self.width = int(self.net.num_features)

    def early_layers(self) -> list[nn.Module]:
        return find_early(self.net)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C) means of the last features."""
        out: Tensor = self.net(images)
        return out


def create_branch(name: str, weights: TrunkWeights, size: int, patch: int) -> Branch | ConvolutionalBranch:
    timm_names.check("branch", name, "vit*")
    with torch.device("meta"):
        is_convolutional = any(
            isinstance(m, nn.modules.batchnorm._BatchNorm) for m in timm.create_model(name).modules()
        )
    return ConvolutionalBranch(name, weights) if is_convolutional else Branch(name, weights, size, patch)


class RFFRNetwork(Released):
    mean: Tensor
    std: Tensor
    blocks: Tensor
    together: Tensor

    def __init__(
        self,
        branch: str = "vit_base_patch16_224.orig_in21k_ft_in1k",
        trunk_weights: TrunkWeights = None,
        grid: Grid | None = None,
        generator: MAE | None = None,
        passes: int | None = None,
        inputs: Inputs = "both",
        compat: bool = False,
    ) -> None:
        """Arguments as RFFR has them."""
        super().__init__()
        self.generator = (generator or MAE()).requires_grad_(False)
        grid, self.compat = grid or Grid(), compat
        side, patch = self.generator.side, self.generator.patch
        check(grid, side)
        seen = BRANCHES if inputs == "both" else (inputs,)
        branches = {name: create_branch(branch, trunk_weights, side * patch, patch) for name in seen}
        self.is_convolutional = any(isinstance(one, ConvolutionalBranch) for one in branches.values())
        if compat and self.is_convolutional:
            raise UserError(f"compat: the read-out of released code is that of a transformer, not of branch {branch!r}")
        self.branches, width = nn.ModuleDict(branches), sum(one.width for one in branches.values())
        self.classifier = compute_in_float32(nn.Linear(width, 2))
        self.register_buffer("blocks", grid.ids(), persistent=False)
        together = grid.group_blocks(grid.side**2 if passes is None else passes)
        self.register_buffer("together", together, persistent=False)
        for name, value in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def residual(self, images: Tensor, blocks: Tensor) -> Tensor:
        """(B, 3, H, W) residual of these blocks; what is hidden in a pass with one of them is hidden here too."""
        is_any = torch.compiler.is_exporting()  # which are wanted is then not known, and 'kept' leaves out the others
        passes = [self.blocks[one].flatten() for one in self.together if is_any or torch.isin(one, blocks).any()]
        whole = residual(self.generator, images, [one.expand(images.shape[0], -1) for one in passes])
        return self.select_residual(whole, blocks)

    def select_residual(self, rest: Tensor, blocks: Tensor) -> Tensor:
        """The residual of some blocks, of one of more: a block's own does not depend on which others are wanted."""
        side, patch = self.generator.side, self.generator.patch
        is_kept = rest.new_zeros(side**2).index_fill(0, self.blocks[blocks].flatten(), 1).view(1, 1, side, side)
        return rest * F.interpolate(is_kept, scale_factor=patch)

    def features(self, images: Tensor, rest: Tensor | None, blocks: Tensor) -> Tensor:
        """(B, C) of the pixels of these blocks, and of their residual.

        Args:
            images: (B, 3, H, W) in [0, 1].
            rest: (B, 3, H, W) residual.
            blocks: (S,) which.
        """
        places = self.blocks[blocks].flatten() + 1  # the class token is first
        out = []
        for name, branch in self.branches.items():
            shown = rest if name == "residual" else (images - self.mean) / self.std
            if isinstance(branch, ConvolutionalBranch):
                assert shown is not None
                out.append(branch(self.select_residual(shown, blocks)))
                continue
            # released code reads the residual one patch to the right of the pixels, and no class token
            at = places + (self.compat and name == "residual")
            out.append(branch(shown, at, not self.compat))
        return torch.cat(out, 1)

    def forward(self, images: Tensor, blocks: Tensor, rest: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, 2) logits, the second of a fake, and the (B, 3, H, W) residual, where it is seen.

        Args:
            rest: The residual of these blocks, if it is known.
        """
        if rest is None and "residual" in self.branches:
            rest = self.residual(images, blocks)
        return self.classifier(self.features(images, rest, blocks)), rest
