"""Meta-learning: a step must also help on people, or on forgeries, that it did not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Split = Literal["none", "people", "methods"]
HELD = 0.3  # of the people of a batch
TRIES = 8  # draws before a batch is given up, which is then one ordinary step


def halves(
    methods: Sequence[str], people: Sequence[str], split: Split, generator: torch.Generator
) -> tuple[Tensor, Tensor] | None:
    """Rows of a batch to learn from, and rows to be tested on: reals and fakes in both, nobody in both.

    None where no draw gives such a split.

    Args:
        methods: Manipulation of each row, "real" where nothing is forged.
        people: People of each row, separated by spaces; a row with people on both sides, or with none, is in neither.
        split: Holds people back, whatever is done to them; or one forgery, and the people it was done to.
        generator: Random generator of the split.
    """
    each = [frozenset(names.split()) for names in people]
    everyone, forgeries = sorted(frozenset().union(*each)), sorted(set(methods) - {"real"})
    if split == "methods" and len(forgeries) < 2:
        return None
    for _ in range(TRIES):
        chosen, held = "", set[str]()
        if split == "methods":
            chosen = forgeries[int(torch.randint(len(forgeries), (), generator=generator))]
            held |= set().union(*(names for names, method in zip(each, methods, strict=True) if method == chosen))
        others = [everyone[i] for i in torch.randperm(len(everyone), generator=generator) if everyone[i] not in held]
        held |= set(others[: max(0, round(HELD * len(everyone)) - len(held))])
        sides: list[list[int]] = [[], []]
        for i, (names, method) in enumerate(zip(each, methods, strict=True)):
            if names and not names & held and method != chosen:
                sides[0].append(i)
            elif names and names <= held and (not chosen or method in ("real", chosen)):
                sides[1].append(i)
        if all({methods[i] == "real" for i in side} == {True, False} for side in sides):
            return torch.tensor(sides[0]), torch.tensor(sides[1])
    return None


Home = tuple[list[Tensor], list[Tensor], list[Tensor]]  # parameters that moved, their values, their gradients


@torch.no_grad()
def descend(parameters: Sequence[nn.Parameter], step: float) -> Home:
    """Moves the parameters against their gradient; gives each with its old value and its gradient."""
    moved: list[Tensor] = [p for p in parameters if p.grad is not None]
    if not moved:
        return [], [], []
    gradients = list(torch._foreach_mul([p.grad for p in moved if p.grad is not None], 1))
    home = moved, list(torch._foreach_mul(moved, 1)), gradients
    torch._foreach_add_(moved, gradients, alpha=-step)
    return home


@torch.no_grad()
def restore(home: Home, weight: float) -> None:
    """Puts the parameters back; their gradient becomes the old one and ``weight`` of the one found away from home."""
    moved, values, gradients = home
    if not moved:
        return
    torch._foreach_copy_(moved, values)
    found = [i for i, p in enumerate(moved) if p.grad is not None]
    if found:
        away = [g for i in found if (g := moved[i].grad) is not None]
        torch._foreach_add_([gradients[i] for i in found], away, alpha=weight)
    for p, gradient in zip(moved, gradients, strict=True):
        p.grad = gradient


@contextmanager
def still_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norms keep their running statistics: a step that is only tried must leave nothing behind."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.momentum = 0.0
    try:
        yield
    finally:
        for m, momentum in zip(norms, momenta, strict=True):
            m.momentum = momentum
