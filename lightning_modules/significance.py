"""Whether one method is better than another on the same videos, or was lucky with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.stats import norm, rankdata

from datamodules.errors import Refused
from lightning_modules.intervals import RESAMPLES, Floats, Interval, Labels, aurocs


def weights(
    label: Labels, cluster: NDArray[np.str_] | None = None, draws: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """(draws, V) how often each video is in each resample; clusters of reals, of fakes and of both are drawn apart.

    Args:
        label: (V,) 1 of fakes.
        cluster: (V,) whose videos come and go together, for instance those of one person; each alone without it.
        draws: Resamples.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    member = np.arange(len(label)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    fakes, sizes = np.bincount(member, label), np.bincount(member)
    kinds = (fakes == 0, fakes == sizes, (fakes > 0) & (fakes < sizes))
    counts = np.zeros((draws, len(sizes)))
    for groups in map(np.flatnonzero, kinds):
        if len(groups):
            picked = rng.integers(0, len(groups), (draws, len(groups))) + len(groups) * np.arange(draws)[:, None]
            counts[:, groups] = np.bincount(picked.ravel(), minlength=draws * len(groups)).reshape(draws, -1)
    return counts[:, member]


def delong(scores: Floats, label: Labels) -> tuple[Floats, Floats]:
    """(M,) AUROC of methods on the same videos and their (M, M) covariance, after Sun and Xu (2014).

    Args:
        scores: (M, V).
        label: (V,) 1 of fakes.
    """
    fake, real = scores[:, label == 1], scores[:, label == 0]
    f, r = fake.shape[1], real.shape[1]
    if min(f, r) < 2:
        raise Refused(f"DeLong: {f} fakes and {r} reals; each must be at least 2")
    both = rankdata(np.concatenate([fake, real], axis=1), axis=1)
    above = (both[:, :f] - rankdata(fake, axis=1)) / r  # share of the reals below each fake
    under = 1 - (both[:, f:] - rankdata(real, axis=1)) / f  # share of the fakes above each real
    covariance = np.atleast_2d(np.cov(above)) / f + np.atleast_2d(np.cov(under)) / r
    return above.mean(1), covariance


def holm(p: Sequence[float]) -> Floats:
    """Of a family of claims, each made no surer than the next surest allows (Holm, 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(1, stepped)
    return out


@dataclass(frozen=True, kw_only=True)
class Claim:
    """That one method has a higher AUROC than another."""

    ours: str
    theirs: str
    gain: Interval  # of resampled videos
    bootstrap: float  # p of no difference
    delong: float
    adjusted: float  # of all claims of the family: DeLong's, which takes videos for independent, or the bootstrap's

    @property
    def holds(self) -> bool:
        return self.gain.low > 0 and self.adjusted < 0.05


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What methods say of the same videos.

    Args:
        scores: (V,) of each method, or (S, V) of its seeds.
        label: (V,) 1 of fakes.
        cluster: As ``weights`` has it.
    """

    scores: Mapping[str, Floats]
    label: Labels
    cluster: NDArray[np.str_] | None = None


def claims(sets: Sequence[Shared], pairs: Sequence[tuple[str, str]], draws: int = RESAMPLES) -> list[Claim]:
    """Of AUROCs averaged over the seeds of a method and over sets of videos.

    Args:
        sets: Resampled apart from each other.
        pairs: Whom each claim is about: a method, and one that it is said to beat.
        draws: Resamples.
    """
    names = list(sets[0].scores)
    for one in sets:
        if absent := sorted({name for pair in pairs for name in pair} - one.scores.keys()):
            raise Refused(f"{absent[0]}: has no scores here; there are {', '.join(one.scores)}")
    value, covariance = np.zeros(len(names)), np.zeros((len(names), len(names)))
    many = np.zeros((len(names), draws))
    for k, one in enumerate(sets):
        rows = [np.atleast_2d(one.scores[name]) for name in names]
        # each method is the mean of its seeds
        mean = block_diag(*(np.full((1, len(of)), 1 / len(of)) for of in rows)) / len(sets)
        values, spread = delong(np.concatenate(rows), one.label)
        value += mean @ values
        covariance += mean @ spread @ mean.T
        weight = weights(one.label, one.cluster, draws, k)
        many += mean @ np.stack([aurocs(score, one.label, weight) for score in np.concatenate(rows)])
    found = []
    for ours, theirs in pairs:
        i, j = names.index(ours), names.index(theirs)
        apart = many[i] - many[j]
        low, high = np.percentile(apart, [2.5, 97.5])
        tail = min((apart <= 0).sum(), (apart >= 0).sum())
        deviation = np.sqrt(max(0.0, covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]))
        gain = value[i] - value[j]
        p = 2 * norm.sf(abs(gain) / deviation) if deviation > 0 else float(gain == 0)
        interval = Interval(value=float(gain), low=float(low), high=float(high))
        found.append((ours, theirs, interval, min(1.0, 2 * (tail + 1) / (draws + 1)), float(p)))
    is_clustered = any(one.cluster is not None for one in sets)
    family = holm([one[3] if is_clustered else one[4] for one in found])
    return [
        Claim(ours=ours, theirs=theirs, gain=gain, bootstrap=float(bootstrap), delong=p, adjusted=float(adjusted))
        for (ours, theirs, gain, bootstrap, p), adjusted in zip(found, family, strict=True)
    ]
