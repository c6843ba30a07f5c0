"""Meta-learning: a step must also help on people, or on forgeries, that it did not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

Split = Literal["none", "people", "methods"]
HELD = 0.3  # of the people of a batch


def halves(methods: Sequence[str], people: Sequence[str], split: Split, seed: int) -> tuple[Tensor, Tensor] | None:
    """Rows of a batch to learn from, and rows to be tested on, without a person in both; None if there are none.

    Args:
        methods: Of each row, "real" where nothing is forged.
        people: Of each row, separated by spaces; a row with people on both sides is in neither.
        split: Holds people back, whatever is done to them; or one forgery, and the people it was done to.
        seed: Of what is held back.
    """
    rng = np.random.default_rng(seed)
    each = [frozenset(names.split()) for names in people]
    everyone = sorted(frozenset().union(*each))
    forgeries = sorted(set(methods) - {"real"})
    chosen = ""
    held: set[str] = set()
    if split == "methods" and len(forgeries) > 1:
        chosen = forgeries[int(rng.integers(len(forgeries)))]
        held = set().union(*(names for names, method in zip(each, methods, strict=True) if method == chosen))
    more = max(0, round(HELD * len(everyone)) - len(held))
    held |= set(rng.permutation([name for name in everyone if name not in held])[:more].tolist())
    known = list(enumerate(zip(each, methods, strict=True)))
    learnt = [i for i, (names, method) in known if not names & held and (not chosen or method != chosen)]
    tested = [i for i, (names, method) in known if names <= held and (not chosen or method in ("real", chosen))]
    return (torch.tensor(learnt), torch.tensor(tested)) if learnt and tested else None


@torch.no_grad()
def descend(parameters: Sequence[nn.Parameter], step: float) -> list[tuple[nn.Parameter, Tensor, Tensor]]:
    """Moves the parameters against their gradient; gives each with its old value and its gradient."""
    home = [(p, p.detach().clone(), p.grad.clone()) for p in parameters if p.grad is not None]
    for p, _, gradient in home:
        p.sub_((step * gradient).to(p.dtype))
    return home


@torch.no_grad()
def come_home(home: Sequence[tuple[nn.Parameter, Tensor, Tensor]], weight: float) -> None:
    """Puts the parameters back; their gradient becomes the old one and ``weight`` of the one found away from home."""
    for p, value, gradient in home:
        p.copy_(value)
        p.grad = gradient if p.grad is None else gradient + weight * p.grad


@contextmanager
def still_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norms keep their running figures: a step that is only tried must leave nothing behind."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.momentum = 0.0
    try:
        yield
    finally:
        for m, momentum in zip(norms, momenta, strict=True):
            m.momentum = momentum
