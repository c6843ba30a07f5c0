"""What a face is not: the difference between an image and what is recovered of its parts from the rest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.mae.network import MAE

GAIN = 4.0
LARGE = 0.1  # an error that is as likely forged as not, where nothing better is known
AT_ONCE = 256  # images in a pass of the network, so that memory does not grow with the number of passes


def reconstruct(mae: MAE, images: Tensor, passes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The images with what each pass recovers, averaged where several do, and (B, N) how many did.

    Args:
        images: (B, 3, H, W) in [0, 1].
        passes: (B, K) patches that each hides.
    """
    tokens, known = mae.embed(images), mae.patchify(images)  # made once for all passes
    b, n, width = known.shape
    total, times = known.new_zeros(b, n, width), known.new_zeros(b, n)
    most = 1 if torch.compiler.is_exporting() else max(1, AT_ONCE // b)  # of one exported batch size it would be
    for alike in batch_passes(passes, most):
        found = mae(tokens.repeat(len(alike), 1, 1), torch.cat(alike)).to(known.dtype)
        for hidden, pixels in zip(alike, found.view(len(alike), b, *found.shape[1:]).unbind(), strict=True):
            total.scatter_add_(1, hidden[..., None].expand(-1, -1, width), pixels)
            times.scatter_add_(1, hidden, torch.ones_like(times[:, : hidden.shape[1]]))
    whole = torch.where(times[..., None] > 0, total / times[..., None].clamp(min=1), known)
    return mae.unpatchify(whole), times


def batch_passes(passes: Sequence[Tensor], most: int) -> list[list[Tensor]]:
    """Passes that hide the same number of patches, which can be made at once, in lots of ``most``."""
    out: list[list[Tensor]] = []
    for hidden in sorted(passes, key=lambda ids: ids.shape[1]):
        if out and out[-1][0].shape == hidden.shape and len(out[-1]) < most:
            out[-1].append(hidden)
        else:
            out.append([hidden])
    return out


@torch.no_grad()
def residual(mae: MAE, images: Tensor, passes: Sequence[Tensor]) -> Tensor:
    """(B, 3, H, W) in [-1, 1], zero where nothing is recovered."""
    return residual_of(reconstruct(mae, images, passes)[0], images)


def residual_of(whole: Tensor, images: Tensor) -> Tensor:
    """
    Args:
        whole: (B, 3, H, W) the images with what was recovered of them.
    """
    return (GAIN * (whole - images)).clamp(-1, 1)


def error_of(whole: Tensor, images: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) mean absolute and squared difference over the patches that were recovered."""
    side = round(times.shape[1] ** 0.5)
    where = F.interpolate((times > 0).view(-1, 1, side, side).float(), size=images.shape[-2:])
    count = 3 * where.sum((1, 2, 3)).clamp(min=1)
    apart = (whole.float() - images) * where
    return apart.abs().sum((1, 2, 3)) / count, apart.square().sum((1, 2, 3)) / count


def suspicion(apart: Tensor, patch: int) -> Tensor:
    """(B, 1, H, W) logits of forgery where the difference, smoothed over a patch, is large.

    Args:
        apart: (B, 3, H, W) of the recovered and the shown.
    """
    mean = apart.float().abs().mean(1, keepdim=True)
    return to_logit(F.avg_pool2d(mean, patch + 1 - patch % 2, 1, patch // 2, count_include_pad=False), LARGE)


def to_logit(error: Tensor, even: float | Tensor) -> Tensor:
    """Rises with the error, and is 0 where it is ``even``."""
    return (error.float().clamp(min=1e-6) / even).log()
