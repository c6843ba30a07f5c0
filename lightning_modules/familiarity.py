"""How far a face is from those of the training, and from where on it is unlike all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from datamodules.runtime.errors import UserError

SHRINKAGE = 0.1  # share of the covariance that is that of unrelated features
AXES = 128  # of the covariance that are kept; the rest counts as alike in all directions
FLOOR = 0.02  # least deviation of a feature
FEWEST = 16  # faces, below which nothing is fitted
QUANTILE = 0.99  # of the faces of validation
POSITIVE = ("scale", "variances", "rest", "limit")  # what is divided by


@dataclass(frozen=True, kw_only=True, eq=False)
class Familiarity:
    """Mahalanobis distance to the nearer of the two classes, over the root of the number of features.

    About 1 for a face of the training, whatever the network.
    """

    mean: Tensor  # (D,) of the features
    scale: Tensor  # (D,) their deviation
    centers: Tensor  # (2, D) of real and fake faces, after both
    axes: Tensor  # (D, K) float16, along which faces of a class differ most
    variances: Tensor  # (K,) along them
    rest: Tensor  # variance in all other directions
    limit: Tensor  # distance beyond which a face is unlike the training

    def distances(self, features: Tensor) -> Tensor:
        """(N,) of (N, D)."""
        if features.shape[1] != len(self.mean):
            raise UserError(f"familiarity: knows {len(self.mean)} features, the network has {features.shape[1]}")
        x = (features.detach().cpu().float() - self.mean) / self.scale
        apart = x[:, None] - self.centers  # (N, 2, D)
        along = (apart @ self.axes.float()).square()  # (N, 2, K)
        beside = (apart.square().sum(2) - along.sum(2)).clamp(min=0) / self.rest
        return ((along / self.variances).sum(2) + beside).amin(1).div(len(self.mean)).sqrt()

    def state(self) -> dict[str, Tensor]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], source: Path | None = None) -> Familiarity:
        """Refuses what is no state of it.

        Args:
            source: Where it was read, for messages.
        """
        where = "familiarity" if source is None else f"{source}: familiarity"
        names = [one.name for one in fields(cls)]
        known = {name: state.get(name) for name in names} if isinstance(state, Mapping) else {}
        shapes = {name: tuple(value.shape) for name, value in known.items() if isinstance(value, Tensor)}
        count, kept = (*shapes.get("axes", ()), 0, 0)[:2]
        wanted = {"mean": (count,), "scale": (count,), "centers": (2, count), "axes": (count, kept)}
        wanted |= {"variances": (kept,), "rest": (), "limit": ()}
        if wrong := [name for name in names if shapes.get(name) != wanted[name]]:
            raise UserError(f"{where}: {wrong[0]} is of shape {shapes.get(wrong[0])}, must be {wanted[wrong[0]]}")
        values = {name: value for name, value in known.items() if isinstance(value, Tensor)}
        for name, value in values.items():
            if not value.is_floating_point() or not value.isfinite().all():
                raise UserError(f"{where}: {name} has values that are no finite numbers")
            if name in POSITIVE and not (value > 0).all():
                raise UserError(f"{where}: {name} has the value {float(value.min()):g}, must be above 0")
        return cls(**values)


def fit_familiarity(features: Tensor, label: Tensor, validation: Tensor) -> Familiarity | None:
    """Nothing of too few faces, and of a network that gives no numbers or the same ones for all.

    Args:
        features: (N, D) of faces of the training.
        label: (N,) 1 of fake ones.
        validation: (M, D) of faces of other people, which fix the limit.
    """
    features, label, validation = features.cpu().double(), label.cpu().long(), validation.cpu().double()
    if min(len(features), len(validation)) < FEWEST or not (features.isfinite().all() and validation.isfinite().all()):
        return None
    mean, scale = features.mean(0), features.std(0).clamp(min=FLOOR)
    x = (features - mean) / scale
    # a class that the training has not is where the other is
    centers = torch.stack([x[label == c].mean(0) if (label == c).any() else x.mean(0) for c in (0, 1)])
    centered = x - centers[label]
    _, singular, axes = torch.linalg.svd(centered, full_matrices=False)
    variances, count = singular.square() / len(x), x.shape[1]
    average = variances.sum() / count
    kept = min(AXES, len(variances))
    others = variances[kept:].sum() / max(1, count - kept)
    floor = SHRINKAGE * average.clamp(min=1e-6)
    found = Familiarity(
        mean=mean.float(),
        scale=scale.float(),
        centers=centers.float(),
        axes=axes[:kept].T.contiguous().half(),
        variances=((1 - SHRINKAGE) * variances[:kept] + floor).float(),
        rest=((1 - SHRINKAGE) * others + floor).float(),
        limit=torch.tensor(float("inf")),
    )
    limit = torch.quantile(found.distances(validation.float()).double(), QUANTILE).float()
    return Familiarity.from_state(found.state() | {"limit": limit}) if 0 < limit < float("inf") else None
