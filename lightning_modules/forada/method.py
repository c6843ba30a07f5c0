"""Forensics Adapter: a frozen CLIP whose attention is led to the boundaries that a small network finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.synthesis.framing import WHOLE, Framing
from lightning_modules.base import Method, Prediction
from lightning_modules.forada.network import ADAPTER, ForensicsHeads, ForensicsNetwork
from lightning_modules.forada.targets import inner_contrast, outer_contrast, patch_labels, patch_shares, xray
from lightning_modules.released import check_network, read_released
from lightning_modules.trunks import clip_names
from lightning_modules.trunks.input_size import fit
from lightning_modules.trunks.weights import TrunkWeights
from lightning_modules.weights import fill

SURE = 1e-4  # a predicted boundary is kept this far from 0 and 1


@dataclass(kw_only=True)
class ForensicsPrediction(Prediction):
    heads: ForensicsHeads | None = None  # in training; of a test set they would fill the memory


class ForensicsAdapter(Method):
    """Scores each frame alone; a clip scores as the mean of its logits. Its map marks the boundary of a blend."""

    map_of = "boundary"

    def __init__(
        self,
        clip: str = clip_names.QUICKGELU,
        trunk_weights: TrunkWeights = None,
        adapter: str = ADAPTER,
        adapter_weights: TrunkWeights = None,
        weights: Path | None = None,
        size: int = 256,
        clip_size: int = 224,
        queries: int = 128,
        label_weight: float = 10.0,
        xray_weight: float = 200.0,
        adapter_weight: float = 20.0,
        clip_weight: float = 10.0,
        compat: bool = False,
        framing: Framing = WHOLE,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            clip: Name of a timm vision transformer, whose parameters stay as they are.
            trunk_weights: Its weights: those of timm's 'hub', or of a local file, a state dict with timm's names;
                random ones without it.
            adapter: Name of a small timm vision transformer, of which eight blocks are trained.
            adapter_weights: Likewise, of the adapter.
            weights: Local file that 'python -m suite convert forada' wrote.
            size: Side of the image that the adapter sees.
            clip_size: Side of the image that CLIP sees.
            queries: Tokens that look at patches for the score.
            label_weight: Weight of the cross-entropy.
            xray_weight: Weight of the squared error of the boundary.
            adapter_weight: Weight of the contrast between patches of the adapter.
            clip_weight: Weight of the contrast between patches of CLIP.
            compat: Patches are labelled as released code counts their pixels.
            framing: Part of a prepared crop that is shown; a synthesis takes it, too.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        given = weights is not None
        self.network = ForensicsNetwork(
            clip,
            None if given else trunk_weights,
            adapter,
            None if given else adapter_weights,
            size,
            clip_size,
            queries,
        )
        if weights is not None:
            released = read_released(weights)
            name = self.network.clip.pretrained_cfg["architecture"]
            check_network(released, {"clip": name, "size": size, "clip_size": clip_size}, weights)
            fill(self.network, released.state, weights)
            self.protocol, self.is_trained = released.protocol, True
        self.size, self.clip_size, self.compat, self.framing = size, clip_size, compat, framing
        self.weight = {"label": label_weight, "xray": xray_weight, "adapter": adapter_weight, "clip": clip_weight}

    def early_layers(self) -> list[nn.Module]:
        return list(self.network.early_layers())

    def predict(self, batch: Batch) -> Prediction:
        shown = self.boundary_patches(batch) if self.training else None
        return self(batch.frames, batch.framed, shown)

    def forward(self, frames: Tensor, framed: bool = False, shown: Tensor | None = None) -> ForensicsPrediction:
        """
        Args:
            frames: (B, T, 3, H, W).
            framed: Whether they are no prepared crops any more, but what is left of them.
            shown: (B T, 1, h, w) patches that the boundary is predicted from; all without it.
        """
        (b, t, _, h, w), framing = frames.shape, WHOLE if framed else self.framing
        images = fit(framing.show(frames.flatten(0, 1), (h, w)), self.size)
        heads = self.network(images, shown)
        logit = heads.label.view(b, t).mean(1)
        if self.training:
            return ForensicsPrediction(logit=logit, heads=heads)
        found = heads.xray.float().clamp(SURE, 1 - SURE).logit()
        return ForensicsPrediction(logit=logit, mask_logit=framing.enlarge(found, (h, w)).view(b, t, 1, h, w))

    def map_target(self, batch: Batch) -> Tensor:
        return (xray(batch.mask.flatten(0, 1)) > 0.5).view_as(batch.mask)

    def masks(self, batch: Batch) -> Tensor:
        """(B T, 1, S, S) of what the network is shown."""
        mask = batch.mask.flatten(0, 1)
        if not batch.framed:
            mask = self.framing.show(mask, tuple(mask.shape[-2:]))  # type: ignore[arg-type]
        return fit(mask, self.size)

    def boundary_patches(self, batch: Batch) -> Tensor:
        """All patches of images whose mask is not known: nothing is learnt from their boundary."""
        shares = patch_shares(self.masks(batch), self.size, self.network.adapter.grid)
        is_known = self.has_known_mask(batch)[:, None, None, None]
        return (patch_labels(shares, self.compat)[1] | ~is_known).to(batch.frames.dtype)

    @staticmethod
    def has_known_mask(batch: Batch) -> Tensor:
        """(B T,) whose boundary is known; real images have none."""
        return (batch.has_mask | (batch.label == 0)).repeat_interleave(batch.frames.shape[1])

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(prediction, ForensicsPrediction)
        heads = prediction.heads
        assert heads is not None
        mask, known, grid = self.masks(batch), self.has_known_mask(batch), self.network.adapter.grid
        label = batch.label.repeat_interleave(batch.frames.shape[1])
        is_fake = (label == 1) & known
        forged = patch_labels(patch_shares(mask, self.size, grid), self.compat)[0].flatten(1)
        in_clip = patch_labels(patch_shares(mask, self.clip_size, grid), self.compat)[0].flatten(1)
        error = (heads.xray.float() - xray(mask)).square().mean((1, 2, 3))
        inner = torch.stack([inner_contrast(one, forged, is_fake) for one in heads.patches]).sum()
        of_clip = inner_contrast(heads.intra, in_clip, is_fake) + outer_contrast(heads.intra, label, self.draws())
        losses = {
            "label": self.label_loss(prediction.logit, batch),
            "xray": (error * known).sum() / known.sum().clamp(min=1),
            "adapter": inner,
            "clip": of_clip,
        }
        return {name: self.weight[name] * loss for name, loss in losses.items()}
