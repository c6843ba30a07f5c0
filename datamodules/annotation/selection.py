"""Which fakes a mask is asked of: those that stand out by what separates the training set most easily."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from datamodules.runtime.errors import UserError

Strategy = Literal["active", "random", "uncertainty"]
ChannelRule = Literal["mean", "max", "turns"]
Floats = NDArray[np.float64]
STILL = 1e-8  # variance below which a channel says nothing
RIDGE = 1e-3


@dataclass(frozen=True, kw_only=True)
class ScoredFaces:
    """Faces of the training set as a method sees them."""

    names: Sequence[str]  # of the sample, for ties: what is chosen must not depend on the order
    videos: Sequence[str]
    label: NDArray[np.int64]  # (N,)
    logit: Floats  # (N,)
    channels: Floats | None = None  # (N, K) means of the last features


@dataclass(frozen=True, kw_only=True)
class Chosen:
    rows: list[int]  # places of the faces, the first choice first
    scores: Floats  # (N,) of all of them
    channels: dict[int, float]  # weight of each channel that the choice went by


def ranked_channels(channels: Floats, label: NDArray[np.int64], count: int) -> tuple[dict[int, float], Floats]:
    """The channels whose rise speaks most for a forgery, with their weights, and all of them standardized."""
    varies = np.flatnonzero(channels.var(0) >= STILL)
    if not len(varies):
        raise UserError("strategy 'active': no channel of the method varies over the faces; it has learnt nothing")
    standard = np.zeros_like(channels)
    standard[:, varies] = (channels[:, varies] - channels[:, varies].mean(0)) / channels[:, varies].std(0)
    # scikit-learn sums the loss over samples, so that its C is one over samples and ridge
    model = LogisticRegression(C=1 / (RIDGE * len(label)), max_iter=1000).fit(standard[:, varies], label)
    best = np.argsort(-model.coef_[0], kind="stable")[:count]
    return {int(varies[i]): float(model.coef_[0, i]) for i in best}, standard


def choose(
    faces: ScoredFaces,
    budget: int,
    strategy: Strategy = "active",
    max_per_video: int = 2,
    channels: int = 10,
    channel_rule: ChannelRule = "max",
    seed: int = 0,
    earlier: Collection[str] = (),
) -> Chosen:
    """
    Args:
        budget: Fakes to choose, fewer where videos are too few.
        strategy: Most active on the channels that tell fakes best; at random; or nearest to being undecided.
        max_per_video: Fakes of one video at most.
        channels: Attention channels that the active choice ranks by.
        channel_rule: The largest of them, which finds what a single channel fires on; their mean, which nine others
            drown; or each in turn takes the face on which it is most active.
        seed: Seed of the random choice.
        earlier: Names of faces that were chosen before, and are not again.
    """
    fakes = np.flatnonzero(faces.label == 1)
    if budget < 1 or not len(fakes):
        raise UserError(f"budget {budget}: there are {len(fakes)} fakes to choose from")
    used: dict[int, float] = {}
    sides: list[Floats] = []  # what is sorted by, if it is more than the scores
    if strategy == "active":
        if faces.channels is None:
            raise UserError("strategy 'active': the method does not say what it uses; take 'uncertainty' or 'random'")
        used, standard = ranked_channels(faces.channels, faces.label, channels)
        active = standard[:, list(used)]
        scores: Floats = active.mean(1) if channel_rule == "mean" else active.max(1)
        sides = list(active.T) if channel_rule == "turns" else []
    elif strategy == "uncertainty":
        scores = -np.abs(faces.logit)
    else:
        by_name = np.argsort(np.array(faces.names))
        scores = np.empty(len(faces.names))
        scores[by_name] = np.random.default_rng(seed).random(len(by_name))
    orders = [sorted(fakes.tolist(), key=lambda i: (-side[i], faces.names[i])) for side in sides or [scores]]
    return Chosen(rows=take_by_turns(orders, faces, budget, max_per_video, earlier), scores=scores, channels=used)


def take_by_turns(
    orders: Sequence[Sequence[int]], faces: ScoredFaces, budget: int, max_per_video: int, earlier: Collection[str]
) -> list[int]:
    """Rows from the beginning of each order in turn, none twice, and not too many of a video."""
    before = set(earlier)
    of_video = Counter(video for video, name in zip(faces.videos, faces.names, strict=True) if name in before)
    rows: list[int] = []
    waiting = [iter(order) for order in orders]
    while waiting and len(rows) < budget:
        order = waiting.pop(0)
        for i in order:
            if faces.names[i] not in before and of_video[faces.videos[i]] < max_per_video:
                rows.append(i)
                before.add(faces.names[i])
                of_video[faces.videos[i]] += 1
                waiting.append(order)
                break
    return rows
