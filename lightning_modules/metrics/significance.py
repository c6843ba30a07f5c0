"""Whether one method is better than another on the same videos, or was lucky with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.stats import norm, rankdata

from datamodules.runtime.errors import UserError
from lightning_modules.metrics.bootstrap import Floats, Interval, aurocs
from lightning_modules.metrics.resampling import Labels, draw_resamples


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What methods say of the same videos.

    Args:
        scores: (V,) of each method, or (S, V) of its seeds.
        label: (V,) 1 of fakes.
        cluster: (V,) whose videos come and go together, for instance those of one person, in other sets too; each video
            alone without it.
        training: What the methods were trained on; sets of one training share what seeds gained by luck.
    """

    scores: Mapping[str, Floats]
    label: Labels
    cluster: NDArray[np.str_] | None = None
    training: str = ""


def delong(scores: Floats, label: Labels) -> tuple[Floats, Floats]:
    """(M,) AUROC of methods on the same videos and their (M, M) covariance, after Sun and Xu (2014).

    Args:
        scores: (M, V).
        label: (V,) 1 of fakes.
    """
    fake, real = scores[:, label == 1], scores[:, label == 0]
    f, r = fake.shape[1], real.shape[1]
    if min(f, r) < 2:
        raise UserError(f"DeLong: {f} fakes and {r} reals; each must be at least 2")
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
    bootstrap: float  # p of no difference, of a normal gain that spreads as the resamples do
    delong: float  # which takes videos for independent; NaN where sets share them
    adjusted: float  # of all claims of the family: DeLong's, or the bootstrap's where videos come in clusters
    resolvable: float = float("nan")  # smallest true gain that this claim, alone, would find in 8 of 10 such studies

    @property
    def is_resolved(self) -> bool:
        return self.gain.low > 0 and self.adjusted < 0.05


def smallest_resolvable(deviation: float, of_seeds: float = 0.0) -> float:
    """The true gain that a two-sided test at 5 % finds with a probability of 80 %.

    Args:
        deviation: Standard deviation of the gain over resampled videos, which the test uses.
        of_seeds: Standard deviation of the gain over other trainings, which the test does not use.
    """
    level, power = norm.ppf([0.975, 0.8])
    return float(level * deviation + power * (deviation**2 + of_seeds**2) ** 0.5)


def seed_variance(scores: Mapping[str, Floats], label: Labels, names: Sequence[str]) -> Floats:
    """(M,) variance of each method's mean over its seeds, as they differ on the same videos; 0 of a single one."""
    everyone = np.ones((1, len(label)))
    out = np.zeros(len(names))
    for i, name in enumerate(names):
        each = np.concatenate([aurocs(score, label, everyone) for score in np.atleast_2d(scores[name])])
        out[i] = each.var(ddof=1) / len(each) if len(each) > 1 else 0.0
    return out


def two_sided_p(gain: float, deviation: float) -> float:
    """NaN of a gain that nothing is known about: its resamples do not differ, or are no numbers."""
    if deviation > 0:
        return float(2 * norm.sf(abs(gain) / deviation))
    return 1.0 if gain == deviation == 0 else float("nan")


def claims(sets: Sequence[Shared], pairs: Sequence[tuple[str, str]], draws: int | None = None) -> list[Claim]:
    """Of AUROCs averaged over the seeds of a method and over sets of videos.

    Args:
        pairs: Pairs of each claim: a method, and one that it is said to beat.
        draws: Resamples, as many as elsewhere without.
    """
    names = list(sets[0].scores)
    for one in sets:
        for name, score in one.scores.items():
            if not np.isfinite(score).all():
                video = np.argwhere(~np.isfinite(score))[0][-1]
                raise ValueError(f"{name}: the score of video {video} is not finite; nothing can be claimed over it")
        if absent := sorted({name for pair in pairs for name in pair} - one.scores.keys()):
            raise UserError(f"{absent[0]}: has no scores here; there are {', '.join(one.scores)}")
    value, covariance = np.zeros(len(names)), np.zeros((len(names), len(names)))
    of_seeds: dict[str, list[Floats]] = {}  # by training
    many = np.zeros((len(names), 1))  # of each resample
    for one, weight in zip(sets, draw_resamples([(one.cluster, one.label) for one in sets], draws=draws), strict=True):
        rows = [np.atleast_2d(one.scores[name]) for name in names]
        # each method is the mean of its seeds
        mean = block_diag(*(np.full((1, len(of)), 1 / len(of)) for of in rows)) / len(sets)
        values, spread = delong(np.concatenate(rows), one.label)
        value += mean @ values
        covariance += mean @ spread @ mean.T
        of_seeds.setdefault(one.training, []).append(seed_variance(one.scores, one.label, names))
        many = many + mean @ np.stack([aurocs(score, one.label, weight) for score in np.concatenate(rows)])
    # what seeds gain by luck does not average out over the sets of one training, only over trainings
    by_training = [np.mean(each, 0) * (len(each) / len(sets)) ** 2 for each in of_seeds.values()]
    seeds = np.sum(by_training, 0)
    clusters = [set(one.cluster.tolist()) for one in sets if one.cluster is not None]
    is_shared = sum(map(len, clusters)) > len(set[str]().union(*clusters))
    found = []
    for ours, theirs in pairs:
        i, j = names.index(ours), names.index(theirs)
        apart, gain = many[i] - many[j], float(value[i] - value[j])
        low, high = np.percentile(apart, [2.5, 97.5])
        variance = float(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])
        by_videos = max(0.0, variance) ** 0.5
        p = float("nan") if is_shared else two_sided_p(gain, by_videos)
        interval = Interval(value=gain, low=float(low), high=float(high))
        deviation = float(apart.std()) if clusters else by_videos
        resolvable = smallest_resolvable(deviation, float(seeds[i] + seeds[j]) ** 0.5)
        found.append((ours, theirs, interval, two_sided_p(gain, float(apart.std())), p, resolvable))
    # of what nothing is known, nothing holds
    family = holm(np.nan_to_num([bootstrap if clusters else p for *_, bootstrap, p, _ in found], nan=1.0).tolist())
    return [
        Claim(
            ours=ours,
            theirs=theirs,
            gain=gain,
            bootstrap=bootstrap,
            delong=p,
            adjusted=float(adjusted),
            resolvable=resolvable,
        )
        for (ours, theirs, gain, bootstrap, p, resolvable), adjusted in zip(found, family, strict=True)
    ]
