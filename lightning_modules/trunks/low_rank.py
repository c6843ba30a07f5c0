"""Few directions of a weight that are trained while the rest of it stays: Effort's residual, and LoRA.

Both are parametrizations of the weight itself and not layers around a layer: networks that compute with the weight of a
layer without calling it, as timm's EVA does for queries, keys and values, are tuned as well. Both fold into a plain
network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from datamodules.runtime.errors import UserError


class Directions(nn.Module):
    """The last singular directions of square matrices that lie one below the other; what is left of them is frozen."""

    def __init__(self, weight: Tensor, rank: int, keeps_rest: bool) -> None:
        """
        Args:
            weight: (K D, D), of queries, keys and values or of one projection.
            rank: Directions of each that are trained.
            keeps_rest: The other directions, which are as large as the weight, for the losses that look at them.
        """
        super().__init__()
        blocks = weight.detach().unflatten(0, (-1, weight.shape[1]))  # (K, D, D)
        u, s, v = torch.linalg.svd(blocks, full_matrices=False)  # s descends
        self.u, self.s, self.v = (
            nn.Parameter(x.contiguous()) for x in (u[..., -rank:], s[..., -rank:], v[..., -rank:, :])
        )
        # of the weights that a training starts from, also when it is resumed: no checkpoint has them
        rest = (u[..., :-rank].contiguous(), v[..., :-rank, :].contiguous()) if keeps_rest else (None, None)
        self.register_buffer("u_rest", rest[0], persistent=False)
        self.register_buffer("v_rest", rest[1], persistent=False)
        self.register_buffer("norms", blocks.square().sum((1, 2)), persistent=False)

    u_rest: Tensor
    v_rest: Tensor
    norms: Tensor  # (K,) squared, of the matrices as they were

    def residual(self) -> Tensor:
        """(K D, D)."""
        return ((self.u * self.s[..., None, :]) @ self.v).flatten(0, 1)

    def forward(self, main: Tensor) -> Tensor:
        return main + self.residual()


class LoRA(nn.Module):
    """A product of two narrow matrices, nothing at the start."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, weight.shape[1], device=weight.device))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank, device=weight.device))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down  # alpha is the rank: the product itself


def projections(net: Any, argument: str) -> Iterator[nn.Linear]:
    """Those of the attention of each block of a timm transformer."""
    found = [
        layer
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Linear) and name.startswith("blocks.") and name.split(".")[-2] == "attn"
    ]
    if not found:
        raise UserError(f"{argument}: changes the attention of a transformer, which the backbone is not")
    yield from found


def train_directions(net: Any, rank: int, keeps_rest: bool, argument: str) -> None:
    """Splits each projection of each attention into what stays and the last directions, which are trained."""
    for layer in projections(net, argument):
        if not 1 <= rank < layer.in_features or layer.out_features % layer.in_features:
            raise UserError(f"{argument}: rank {rank}: must be from 1 to {layer.in_features - 1}, of square matrices")
        part = Directions(layer.weight, rank, keeps_rest)
        with torch.no_grad():
            layer.weight.sub_(part.residual())
        attach(layer, part)


def train_lora(net: Any, rank: int, argument: str) -> None:
    for layer in projections(net, argument):
        if rank < 1:
            raise UserError(f"{argument}: rank {rank}: must be 1 or more")
        attach(layer, LoRA(layer.weight, rank))


def attach(layer: nn.Linear, part: nn.Module) -> None:
    parametrize.register_parametrization(layer, "weight", part, unsafe=True)  # its check would compute each once more
    layer.parametrizations.weight.original.requires_grad_(False)  # type: ignore[union-attr]


def fold(net: nn.Module) -> int:
    """What was trained apart becomes part of the weights; how many it was."""
    layers = [layer for layer in net.modules() if parametrize.is_parametrized(layer, "weight")]
    for layer in layers:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return len(layers)


def orthogonality(u: Tensor, v: Tensor) -> Tensor:
    """How far the rows of both are from orthonormal, half of a Frobenius norm each.

    Args:
        u: (K, D, D) of all directions, by columns.
        v: (K, D, D) likewise, by rows.
    """
    one = torch.eye(u.shape[-2], dtype=u.dtype, device=u.device)
    return torch.stack([0.5 * torch.linalg.matrix_norm(x @ x.mT - one) for x in (u, v)]).sum(0).mean()


def energy_change(weight: Tensor, norms: Tensor) -> Tensor:
    """How far the squared norms of matrices are from what they were.

    Args:
        weight: (K, D, D).
        norms: (K,) squared.
    """
    return (weight.square().sum((1, 2)) - norms).abs().mean()


def direction_losses(net: nn.Module) -> tuple[Tensor, Tensor]:
    """Orthogonality and change of energy, each the mean over all matrices whose directions are trained."""
    each = []
    for layer in net.modules():
        if parametrize.is_parametrized(layer, "weight"):
            part: Any = layer.parametrizations.weight[0]  # type: ignore[union-attr, index]
            k = len(part.norms)
            whole = layer.weight.unflatten(0, (k, -1))  # type: ignore[operator]
            both = torch.cat([part.u_rest, part.u], -1), torch.cat([part.v_rest, part.v], -2)
            each += [torch.stack([orthogonality(*both), energy_change(whole, part.norms)])] * k
    first, second = torch.stack(each).mean(0)
    return first, second
