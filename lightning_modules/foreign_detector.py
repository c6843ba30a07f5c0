"""A detector from outside the suite, tested as any method: code that its user trusts."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from lightning_modules.base import Method, Prediction

LEAST = 1e-6  # that a probability is from 0 and 1, so that it has a logit


class ForeignDetector(Method):
    """Shows each crop to a callable that somebody else wrote."""

    is_trained = True
    fixes_thresholds = False
    runs_other_code = True  # never built from what a checkpoint or a folder says

    def __init__(self, detector: str | None = None, **kwargs: Any) -> None:
        """
        Args:
            detector: package.module:factory, imported from the current folder or what is installed. The factory takes
                nothing and returns a callable: (N, H, W, 3) uint8 RGB crops to (N,) probabilities of a forgery, or to
                these and (N, h, w) probabilities of pixels.
            **kwargs: See Method.
        """
        super().__init__(**kwargs)
        if detector is None:
            raise UserError("detector: give --model.detector package.module:factory")
        self.detector = detector
        self.detect = partial(
            create_detector(detector)
        )  # so that networks stay what they are: not ours to move or save

    def setup(self, stage: str) -> None:
        if stage == "fit":
            raise UserError(f"detector {self.detector!r}: has nothing to fit here; run 'test'")

    def forward(self, frames: Tensor) -> Prediction:
        (b, t), side = frames.shape[:2], frames.shape[-2:]
        images = frames.flatten(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
        found = self.detect(np.ascontiguousarray(images.cpu().numpy()))
        scores, maps = found if isinstance(found, tuple) else (found, None)
        logit = self.read(scores, (b * t,), "scores").to(frames.device).view(b, t).mean(1)
        if maps is None:
            return Prediction(logit=logit)
        shape = np.shape(maps)
        if len(shape) != 3:
            raise UserError(f"detector {self.detector!r}: maps of shape {shape}, must be ({b * t}, height, width)")
        cells = self.read(maps, (b * t, *shape[1:]), "maps").to(frames.device)
        enlarged = F.interpolate(cells[:, None], side, mode="bilinear", align_corners=False)
        return Prediction(logit=logit, mask_logit=enlarged.view(b, t, 1, *side))

    def read(self, given: Any, shape: tuple[int, ...], name: str) -> Tensor:
        """Probabilities to logits."""
        values = torch.as_tensor(np.asarray(given), dtype=torch.float64)
        rule = f"must be {shape}, from 0 to 1"
        if values.shape != shape:
            raise UserError(f"detector {self.detector!r}: {name} of shape {tuple(values.shape)}, {rule}")
        if not ((values >= 0) & (values <= 1)).all():
            wrong = values[~((values >= 0) & (values <= 1))][0].item()
            raise UserError(f"detector {self.detector!r}: {name} with {wrong:g}, {rule}")
        return values.clamp(LEAST, 1 - LEAST).logit().float()

    def losses(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        raise UserError(f"detector {self.detector!r}: has nothing to fit here")


def create_detector(name: str) -> Any:
    module, colon, factory = name.partition(":")
    rule = "must be package.module:factory"
    if not colon or not all(part.isidentifier() for part in [*module.split("."), factory]):
        raise UserError(f"detector {name!r}: {rule}")
    if str(Path.cwd()) not in sys.path:  # where the command was given, also by the console script
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), factory, None)
    except ModuleNotFoundError as error:
        missing = f"{error.name} is neither in the current folder nor installed"
        raise UserError(f"detector {name!r}: {missing}; {rule}") from None
    if not callable(found):
        raise UserError(f"detector {name!r}: {module} has no factory {factory!r}")
    detector = found()
    if not callable(detector):
        raise UserError(f"detector {name!r}: {factory} returned {type(detector).__name__}, must return a callable")
    return detector
