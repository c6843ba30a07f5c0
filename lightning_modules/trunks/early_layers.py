"""What the first layers of a network make of an image: its sharpness, noise and colours, not yet what it shows.

The last features of a detector tell real from forged and little else: it was trained to pass over the rest. Those of an
eighth of its depth differ between one camera and another, so they can tell that a face is unlike all of the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

REDUCTIONS = (4, 8)  # features at a quarter and at an eighth of the side
STILL = 1e-2  # added to deviations, so that a channel that is off has a logarithm


class Enough(Exception):
    """All features are known; what the network would still compute is not needed."""


def find_early(net: Any) -> list[nn.Module]:
    """Layers of a timm model: the last at a quarter and at an eighth of the side, or a sixth and a third of the blocks
    where none of them changes the size."""
    info = net.feature_info if isinstance(net.feature_info, list) else net.feature_info.info
    names = {one["reduction"]: one["module"] for one in info if one["reduction"] in REDUCTIONS}
    chosen = list(names.values()) or [info[len(info) // 6]["module"], info[len(info) // 3]["module"]]
    modules = dict(net.named_modules())
    # a network of features alone is in one that hooks it, or has its nested layers under flat names
    known = [(name, f"body.{name}", name.replace(".", "_")) for name in dict.fromkeys(chosen)]
    found = [next((modules[name] for name in names if name in modules), None) for names in known]
    return [one for one in found if one is not None]


def summarize(features: Tensor) -> Tensor:
    """(N, 2 C) mean and logarithm of the deviation of each channel.

    Args:
        features: (N, C, H, W), or the tokens (N, L, C) of a transformer.
    """
    if features.ndim == 4 and features.shape[1] == features.shape[2] != features.shape[3]:
        features = features.flatten(1, 2)  # of a network whose channels come last
    flat = features.float().flatten(2) if features.ndim == 4 else features.float().transpose(1, 2)
    return torch.cat([flat.mean(2), flat.std(2, correction=0).add(STILL).log()], 1)


class Early:
    """What was captured of one pass."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self.layers = layers
        self.found: dict[int, Tensor] = {}

    def features(self, clips: int) -> Tensor:
        """(clips, D), the mean over the frames of each."""
        summaries = [self.found[i] for i in range(len(self.layers))]
        return torch.cat([one.unflatten(0, (clips, -1)).mean(1) for one in summaries], 1)


@contextmanager
def watch(layers: Sequence[nn.Module], stops: bool = False) -> Iterator[Early]:
    """Captures what layers give in the pass within; of several calls of a layer, the first.

    Args:
        layers: Layers with features of one frame in each row.
        stops: Whether the pass ends, without a result, once all of them were called.
    """
    early = Early(layers)

    def keep(i: int, output: Tensor | list[Tensor]) -> None:
        finest = output[0] if isinstance(output, list) else output  # of an HRNet, which has several scales
        early.found.setdefault(i, summarize(finest.detach()))
        if stops and len(early.found) == len(layers):
            raise Enough

    handles = [
        layer.register_forward_hook(lambda _module, _inputs, output, i=i: keep(i, output))
        for i, layer in enumerate(layers)
    ]
    try:
        yield early
    except Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
