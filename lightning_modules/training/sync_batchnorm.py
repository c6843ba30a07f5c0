"""Batch norms that see the batches of all GPUs."""

from __future__ import annotations

from pytorch_lightning.plugins.layer_sync import LayerSync
from torch import nn


class SyncBatchNorm(LayerSync):
    """As torch's, which loses the activations that timm joins with its norms."""

    def apply(self, model: nn.Module) -> nn.Module:
        from timm.layers import convert_sync_batchnorm  # seconds, for those of several GPUs alone

        return convert_sync_batchnorm(model)

    def revert(self, model: nn.Module) -> nn.Module:
        return model  # they test as any other
